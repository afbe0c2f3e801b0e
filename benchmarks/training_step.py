"""Where the time of a training step goes, and on a GPU, how fast it is beside a plain loop and the products' ceiling.

    python -m benchmarks.training_step [--suite synth] [--method arcface] [--epochs 2]
    python -m benchmarks.training_step --sgd [--classes 85742]
    python -m benchmarks.training_step --peer [--backbone iresnet50] [--classes 85742] [--batch 128] [--steps 30]

The first trains a suite's method as a bench does, reading data and writing logs and checkpoints, and prints the share
of the time that each phase takes: by the clock on a CPU, by CUDA events on a GPU. The second times the optimiser alone.
The third takes random images in memory, and times our step in turn with a loop written as is common in the field:
float16 autocast with a gradient scaler, NCHW, the whole matrix of logits, and the loss looked at after every step. The
ceiling is the rate of large bfloat16 products in the same run, and a step's operations those of its convolutions and
products.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from noisebench import backbones, methods
from noisebench.bench.execute import build_trainer
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.data.loader import Batch
from noisebench.training.distributed import Process, join
from noisebench.training.settings import TrainingSettings
from noisebench.training.step import Step
from noisebench.training.stopping import StopRequest
from noisebench.training.watchdog import Phase, Watchdog

WHAT: dict[Phase, str] = {
    "data": "waiting for data",
    "forward": "forward of the backbone",
    "head": "forward of the head",
    "backward": "backward of both",
    "update": "optimiser",
    "check": "looking at the losses, for signals and faults",
    "log": "logging and analysis hooks",
    "checkpoint": "checkpoints",
}
ROUNDS = 5
PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows and columns of the products whose rate is the ceiling


class PhaseClock(Watchdog):
    """In the place of the watchdog, is told the phases of a run and adds up the seconds of each.

    Args:
        process: The only one.
    """

    def __init__(self, process: Process) -> None:
        super().__init__(Path(), process, timeout_seconds=1.0, tell=print)
        self._marks: list[tuple[Phase, float | torch.cuda.Event]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.enter("start", 0)

    def enter(self, phase: Phase, step: int) -> None:
        """Note when a phase begins."""
        if self.process.device.type == "cpu":
            self._marks.append((phase, time.perf_counter()))
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._marks.append((phase, event))

    def seconds(self, warm_up: int) -> dict[Phase, float]:
        """Seconds by phase, without the first so many steps, which are slower than those to come."""
        if self.process.device.type == "cuda":
            torch.cuda.synchronize()
        begins = [place for place, (phase, _) in enumerate(self._marks) if phase == "data"]
        marks = self._marks[begins[warm_up] :]
        spent: dict[Phase, float] = defaultdict(float)
        for (phase, began), (_, ended) in itertools.pairwise(marks):
            spent[phase] += _between(began, ended)
        return spent


def _between(began: float | torch.cuda.Event, ended: float | torch.cuda.Event) -> float:
    if isinstance(began, float) and isinstance(ended, float):
        return ended - began
    assert isinstance(began, torch.cuda.Event)
    assert isinstance(ended, torch.cuda.Event)
    return float(began.elapsed_time(ended)) / 1000


def shares(suite: str, noise: str, method: str, epochs: int, threads: int) -> None:
    """Train a method of a suite and print where the time went."""
    with tempfile.TemporaryDirectory(prefix="noisebench-") as scratch, join() as process:
        request = Request(suite=suite, noise=(noise,), methods=(method,), seeds=(0,), results=Path(scratch))
        cell = plan(request, print)[0]
        torch.set_num_threads(threads)
        clock = PhaseClock(process)
        trainer = build_trainer(cell, process, StopRequest(), threads)
        settings = trainer.settings.model_copy(update={"epochs": epochs})
        dataclasses.replace(trainer, settings=settings, watchdog=clock).run()
    spent = clock.seconds(warm_up=10)
    total = sum(spent.values())
    print(f"\nsuite {suite}, {method}, {noise}: {epochs} epochs, {process.device.type}, {threads} threads\n")
    print("| phase | share of the time |\n| --- | --- |")
    for phase, what in WHAT.items():
        print(f"| {what} | {spent[phase] / total:.1%} |")


Run = Callable[[], object]


def our_step(batch: Batch, backbone: str, num_classes: int, process: Process) -> Run:
    """Our step: bfloat16, channels last, the head's cosines block by block, nothing asked of the GPU."""
    settings = TrainingSettings(epochs=1, batch_size=len(batch.labels), precision="bfloat16", clip_norm=5.0)
    head = methods.create("arcface", num_classes=num_classes, embedding_size=512, products="bfloat16")
    network = backbones.create(backbone, image_size=(batch.images.shape[1], batch.images.shape[2])).train()
    step = Step(settings, network, head, process, enter=lambda phase: None)
    return lambda: step(batch, number=0, learning_rate=0.01, seed=0)


def plain_step(batch: Batch, backbone: str, num_classes: int, process: Process) -> Run:
    """A step as it is commonly written."""
    device = process.device
    image_size = (batch.images.shape[1], batch.images.shape[2])
    network = backbones.create(backbone, image_size=image_size).to(device).train()
    weight = nn.Parameter(torch.randn(num_classes, 512, device=device) * 0.01)
    optimizer = torch.optim.SGD([*network.parameters(), weight], lr=0.01, momentum=0.9, weight_decay=5e-4)
    scaler = torch.amp.GradScaler(device.type)
    images = (batch.images.permute(0, 3, 1, 2).contiguous().float() / 255 - 0.5) / 0.5

    def step() -> float:
        shown, labels = images.to(device, non_blocking=True), batch.labels.to(device, non_blocking=True)
        with torch.autocast(device.type, torch.float16):
            embeddings = network(shown)
            logits = F.linear(F.normalize(embeddings), F.normalize(weight))
        loss = F.cross_entropy(_with_margin(logits.float().clamp(-1, 1), labels) * 64, labels)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), 5)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        return loss.item()

    return step


def _with_margin(cosines: Tensor, labels: Tensor) -> Tensor:
    """Cosines with ArcFace's margin of 0.5 rad at the labels."""
    rows = torch.arange(len(labels), device=labels.device)
    with torch.no_grad():
        target = (cosines[rows, labels].acos() + 0.5).cos()
    changed = cosines.clone()
    changed[rows, labels] = target
    return changed


def images_per_second(run: Run, batch_size: int, steps: int, device: torch.device) -> float:
    """Over so many steps, all of their work done."""
    began = time.perf_counter()
    for _ in range(steps):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps * batch_size / (time.perf_counter() - began)


def ceiling(device: torch.device) -> float:
    """Operations a second of large bfloat16 products."""
    size = PRODUCT[device.type]
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return max(images_per_second(lambda: a @ b, 2 * size**3, 10, device) for _ in range(ROUNDS))


def peer(backbone: str, num_classes: int, batch_size: int, steps: int, side: int) -> None:
    """Time our step in turn with the plain one, and print the table."""
    with join() as process:
        device = process.device
        drawn = torch.Generator().manual_seed(0)
        images = torch.randint(256, (batch_size, side, side, 3), generator=drawn, dtype=torch.uint8)
        labels = torch.randint(num_classes, (batch_size,), generator=drawn)
        if device.type == "cuda":
            images, labels = images.pin_memory(), labels.pin_memory()
        batch = Batch(torch.arange(batch_size), images, labels, labels)
        runs = {
            "noisebench": our_step(batch, backbone, num_classes, process),
            "plain loop": plain_step(batch, backbone, num_classes, process),
        }
        for run in runs.values():
            images_per_second(run, batch_size, max(1, steps // 3), device)
        with FlopCounterMode(display=False) as counter:
            runs["plain loop"]()
        speeds = [
            {name: images_per_second(run, batch_size, steps, device) for name, run in runs.items()}
            for _ in range(ROUNDS)
        ]
        most = ceiling(device) / (counter.get_total_flops() / batch_size)
    ratios = sorted(speed["noisebench"] / speed["plain loop"] for speed in speeds)
    print(f"\n{backbone}, {num_classes:,} classes, batch {batch_size}, {device.type}\n")
    print("| loop | images/s | share of the products' ceiling |\n| --- | --- | --- |")
    for name in runs:
        speed = statistics.median(round_[name] for round_ in speeds)
        print(f"| {name} | {speed:.0f} | {speed / most:.0%} |")
    print(f"\nnoisebench over the plain loop: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def sgd(num_classes: int, device: torch.device) -> None:
    """Print how many times as fast a fused step over a head's centres is as torch's default."""
    weight = nn.Parameter(torch.randn(num_classes, 512, device=device))
    weight.grad = torch.randn_like(weight)
    steps = [
        torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=5e-4, fused=fused).step for fused in (None, True)
    ]
    ratios = []
    for _ in range(ROUNDS + 1):
        default, fused = (images_per_second(step, 1, 3, device) for step in steps)
        ratios.append(fused / default)
    ratios = sorted(ratios[1:])  # the first makes room for the momentum
    print(f"fused SGD, {num_classes:,} classes: {statistics.median(ratios):.1f}x ({ratios[0]:.1f} to {ratios[-1]:.1f})")


def main() -> None:
    """Parse the flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="synth")
    parser.add_argument("--noise", default="closed30")
    parser.add_argument("--method", default="arcface")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peer", action="store_true", help="beside a plain loop, on random images")
    parser.add_argument("--backbone", default="iresnet50")
    parser.add_argument("--classes", type=int, default=85742)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30, help="of each round of --peer")
    parser.add_argument("--side", type=int, default=112, help="of the images of --peer, in pixels")
    parser.add_argument("--sgd", action="store_true", help="only the optimiser, over the centres of --classes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.sgd:
        sgd(arguments.classes, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    elif arguments.peer:
        peer(arguments.backbone, arguments.classes, arguments.batch, arguments.steps, arguments.side)
    else:
        shares(arguments.suite, arguments.noise, arguments.method, arguments.epochs, arguments.threads)


if __name__ == "__main__":
    main()
