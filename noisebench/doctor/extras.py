"""Libraries that some commands need and most do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from noisebench.doctor.finding import Finding, Surroundings

PURPOSES = {
    "timm": "any backbone of timm (backbone.name timm:NAME)",
    "onnx": "'noisebench export --onnx', and models in ONNX files",
    "release": "models in safetensors files",
    "slurm": "--launcher slurm",
    "mxnet": "--reader mxnet, with Python 3.11 and NumPy 1.23 only",
}
"""What each extra of the package is for; the others are for working on noisebench itself."""

_EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)")


def extras(_: Surroundings) -> Iterator[Finding]:
    """Whether the libraries of each extra are installed, and what installs them."""
    needed: dict[str, list[str]] = {extra: [] for extra in PURPOSES}
    for requirement in metadata.requires("noisebench") or []:
        condition = _EXTRA.search(requirement)
        if condition and condition[1] in needed:
            needed[condition[1]].append(re.split(r"[^A-Za-z0-9._-]", requirement)[0])
    for extra, libraries in needed.items():
        versions = {library: _version(library) for library in libraries}
        missing = [library for library, version in versions.items() if version is None]
        what = f"extra {extra}"
        if missing:
            meaning = f"needed for {PURPOSES[extra]}: pip install 'noisebench[{extra}]'"
            yield Finding(what, "ok", f"without {', '.join(missing)}", meaning)
        else:
            found = ", ".join(f"{library} {version}" for library, version in versions.items())
            yield Finding(what, "ok", found, f"for {PURPOSES[extra]}")


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
