"""Python, the libraries that everything needs, plug-ins, and the device that torch would train on."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib import metadata

from noisebench.doctor.finding import Finding, Surroundings, gib

OLDEST, TRIED = (3, 11), (3, 12)
"""Versions of Python that noisebench needs at least, and that it is tested with at most."""
LIBRARIES = {"torch": "torch", "numpy": "NumPy", "pandas": "pandas", "pyarrow": "Arrow", "cv2": "OpenCV"}
LITTLE_FREE = 0.5  # of a GPU's memory: someone else is there


def python(_: Surroundings) -> Iterator[Finding]:
    """The interpreter's version."""
    version = sys.version_info[:2]
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if version < OLDEST:
        yield Finding(
            "Python", "fail", found, "3.11 is needed: make an environment with it, make PYTHON=python3.11 setup"
        )
    elif version > TRIED:
        yield Finding("Python", "warn", found, "not tried with noisebench yet: 3.11 and 3.12 are")
    else:
        yield Finding("Python", "ok", found, "a version that noisebench is tested with")


def libraries(_: Surroundings) -> Iterator[Finding]:
    """Whether what everything needs can be imported, not only whether it is installed."""
    found = {}
    for module, name in LIBRARIES.items():
        try:
            found[name] = importlib.import_module(module).__version__
        except Exception as error:  # a library of another architecture fails in its own way
            meaning = "nothing can be trained without: pip install noisebench, or make setup"
            yield Finding(name, "fail", f"does not import: {error}", meaning)
    if len(found) == len(LIBRARIES):
        text = ", ".join(f"{name} {version}" for name, version in found.items())
        yield Finding("libraries", "ok", text, "all import")


def plugins(_: Surroundings) -> Iterator[Finding]:
    """Whether what installed packages add to noisebench can be loaded."""
    groups = sorted(group for group in metadata.entry_points().groups if group.startswith("noisebench."))
    found = []
    for group in groups:
        for entry in metadata.entry_points(group=group):
            package = entry.dist.name if entry.dist else entry.value
            try:
                entry.load()
            except Exception as error:  # whatever the package's own code does
                meaning = f"{entry.name} cannot be used: mend or uninstall {package}"
                yield Finding("plug-in", "warn", f"{entry.name} of {package} does not load: {error}", meaning)
            else:
                found.append(f"{entry.name} of {package}")
    if found:
        yield Finding("plug-ins", "ok", ", ".join(found), "installed packages add them")


def device(surroundings: Surroundings) -> Iterator[Finding]:
    """What torch would train on: every GPU with its memory, or the CPU."""
    import torch

    if not torch.cuda.is_available():
        capability = torch.backends.cpu.get_cpu_capability()
        if surroundings.kernel_file("proc", "driver", "nvidia", "version"):
            meaning = f"torch {torch.__version__} cannot use it: install a torch for CUDA, and look at nvidia-smi"
            yield Finding("device", "warn", "there is an NVIDIA driver, but torch sees no GPU", meaning)
        else:
            meaning = "the suites synth and lfw are made for it; the others want a GPU"
            yield Finding("device", "ok", f"CPU ({capability}), no GPU", meaning)
        return
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        bfloat16 = torch.cuda.get_device_capability(index) >= (8, 0)
        found = f"{torch.cuda.get_device_name(index)}, {gib(free)} free of {gib(total)}"
        if free < LITTLE_FREE * total:
            yield Finding(f"GPU {index}", "warn", found, "another program has most of its memory: see nvidia-smi")
        elif not bfloat16:
            meaning = "no bfloat16 in hardware: --set training.precision=float32 for suites that have it"
            yield Finding(f"GPU {index}", "warn", found, meaning)
        else:
            yield Finding(f"GPU {index}", "ok", f"{found}, bfloat16", "a process each: --nproc is the number of GPUs")
