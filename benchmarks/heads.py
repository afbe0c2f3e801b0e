"""Heads, forward and backward, against the floor: three matrix products and ``F.cross_entropy``, all in one run.

The floor has as many rows as the head has centres: with K sub-centres a class, K times the classes.

    python -m benchmarks.heads [--classes 10572 85742] [--methods arcface,curricularface] [--rounds N] [--million]

Half of a dense head's time at 85,742 classes can be page faults, so the run is made twice: with the C library's
allocator as it is, and told to keep freed memory. On a CPU the clock is that of the process's own computing time, with
one thread unless --threads says otherwise: what else runs on the machine disturbs it least.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from noisebench import methods
from noisebench.heads.head import Head
from noisebench.heads.margin_softmax import MarginSoftmax

BATCH, SIZE = 256, 512
MODES: dict[str, dict[str, Any]] = {
    "dense": {"mode": "dense"},
    "chunked": {"mode": "chunked"},
    "chunked, bf16": {"mode": "chunked", "products": "bfloat16"},
}
KEPT = {"MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_MMAP_THRESHOLD_": str(1 << 40)}
MB = 1 << 20
Step = Callable[[], None]


def batch(num_classes: int, device: str) -> tuple[Tensor, Tensor]:
    """Random embeddings, the worst case for re-weighting methods, and labels."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(BATCH, SIZE, generator=generator)
    return embeddings.to(device), torch.randint(num_classes, (BATCH,), generator=generator).to(device)


def floor_step(num_classes: int, device: str, sub_centres: int = 1) -> tuple[Step, Tensor]:
    """The least a softmax over the classes can do, and its weight."""
    embeddings, labels = batch(num_classes, device)
    weight = torch.randn(num_classes * sub_centres, SIZE, device=device).requires_grad_()
    embeddings.requires_grad_()

    def step() -> None:
        weight.grad = embeddings.grad = None
        F.cross_entropy(F.linear(embeddings, weight), labels).backward()  # type: ignore[no-untyped-call]

    return step, weight


def head_step(head: Head, num_classes: int, device: str) -> Step:
    """Forward and backward of a head."""
    embeddings, labels = batch(num_classes, device)
    embeddings.requires_grad_()
    head.to(device).begin_epoch(1, 2)

    def step() -> None:
        head.centres.grad = embeddings.grad = None
        head(embeddings, labels).loss.backward()

    return step


def seconds(step: Step, device: str) -> float:
    """How long a step computes: by the process's clock, on a GPU by that of the GPU."""
    if device == "cpu":
        began = time.process_time()
        step()
        return (time.process_time() - began) / torch.get_num_threads()
    began_event, ended_event = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    began_event.record()
    step()
    ended_event.record()
    torch.cuda.synchronize()
    return float(began_event.elapsed_time(ended_event)) / 1000


def peak_extra(step: Step, device: str) -> float:
    """Most memory a step takes beyond what is held before, MB."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / MB
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before would be taken again, unseen
    done, most, before = threading.Event(), [0], resident_bytes()

    def watch() -> None:
        while not done.wait(0.0005):
            most[0] = max(most[0], resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    return (most[0] - before) / MB


def resident_bytes() -> int:
    """Memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(num_classes: int, names: list[str], rounds: int, device: str) -> None:
    """Print the table of one number of classes."""
    floor, weight = floor_step(num_classes, device)
    seconds(floor, device)
    gradient = num_classes * SIZE * 4 / MB
    print(f"\n### {num_classes} classes, {device}, {allocator()} (weight gradient {gradient:.0f} MB)\n")
    print("| head | mode | x floor | least | most | peak beyond the weight gradient, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    own = statistics.median(seconds(floor, device) for _ in range(rounds))
    weight.grad = None
    print(f"| floor | {1000 * own:.0f} ms | 1 | | | {peak(floor, gradient, device)} |", flush=True)
    for name in names:
        for mode, options in MODES.items():
            head = methods.create(name, num_classes=num_classes, embedding_size=SIZE, **options)
            step = head_step(head, num_classes, device)
            sub_centres = head.centres.numel() // (num_classes * SIZE)
            own_floor = floor if sub_centres == 1 else floor_step(num_classes, device, sub_centres)[0]
            seconds(step, device)
            seconds(own_floor, device)
            ratios = sorted(seconds(step, device) / seconds(own_floor, device) for _ in range(rounds))
            del own_floor
            columns = f"{statistics.median(ratios):.2f} | {ratios[0]:.2f} | {ratios[-1]:.2f}"
            head.centres.grad = None
            print(f"| {name} | {mode} | {columns} | {peak(step, gradient * sub_centres, device)} |", flush=True)


def peak(step: Step, gradient: float, device: str) -> str:
    """The peak of a step beyond the gradient, as printed: nothing where freed memory, being kept, hides it."""
    return "" if is_kept() else f"{peak_extra(step, device) - gradient:.0f}"


def is_kept() -> bool:
    """Whether the C library's allocator was told to keep freed memory."""
    return all(os.environ.get(name) == value for name, value in KEPT.items())


def allocator() -> str:
    """How the C library's allocator was told to behave."""
    return "freed memory kept" if is_kept() else "default allocator"


def million() -> None:
    """A million classes, trained for three steps: centres, gradient and momentum alone are 6.1 GB."""
    head = methods.create("arcface", num_classes=1_000_000, embedding_size=SIZE, mode="chunked")
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    step = head_step(head, 1_000_000, "cpu")

    def train() -> None:
        for _ in range(2):
            step()
            optimizer.step()

    before = resident_bytes()
    peak = before + peak_extra(train, "cpu") * MB
    print(f"a million classes, chunked, SGD with momentum: peak of the whole process {peak / 1e9:.3f} GB")


def margin_methods(text: str) -> list[str]:
    """The methods a flag names, ``a,b``; all margin methods where it names none."""
    known = [name for name in methods.names() if issubclass(methods.find(name), MarginSoftmax)]
    names = text.split(",") if text else known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no margin method {unknown[0]!r}; there are {', '.join(known)}")
    return names


def positive(text: str) -> int:
    """A count a flag gives, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def main() -> None:
    """Parse the flags, and run once for each setting of the allocator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=positive, nargs="+", default=[10572, 85742])
    parser.add_argument("--methods", type=margin_methods, default="", help="default: all")
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--million", action="store_true", help="only the memory of a million classes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.million:
        million()
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for num_classes in arguments.classes:
        measure(num_classes, arguments.methods, arguments.rounds, device)
    if device == "cpu" and not is_kept():
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "benchmarks.heads", *sys.argv[1:]], env=os.environ | KEPT, check=True)


if __name__ == "__main__":
    main()
