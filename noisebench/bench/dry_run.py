"""What a bench would take, before anything of it starts: cells, steps, hours, memory and disk."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from noisebench.analysis.text import pipe_table
from noisebench.bench.cell import Cell, run_folder
from noisebench.bench.estimate import Memory, Speed, forget_peak, free_memory, memory_model, program_memory, time_steps
from noisebench.bench.execute import build_trainer
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.bench.start import Say
from noisebench.bench.where import Where
from noisebench.noise.manifest import Manifest
from noisebench.training.distributed import Process, join
from noisebench.training.stopping import StopRequest

LOG_BYTES_A_ROW = 11
"""Of an epoch's sample log, see `noisebench.analysis.sample_log`."""
CENTRE_LOG_BYTES_A_CLASS = 12
"""Of an epoch at most."""
REFERENCES = 3
"""Epochs whose centres stand beside the centre log: the first, the one before, and the one being written."""
SHARE_OF_FREE_MEMORY = 0.9


@dataclass(frozen=True)
class Estimate:
    """What each run of one method takes, its processes being alike.

    Attributes:
        steps: Of a run.
        speed: Of a process.
        memory: Of a process.
        disk_under_way: Bytes in a run's folder at most.
        disk_kept: Bytes that stay there.
    """

    steps: int
    speed: Speed
    memory: Memory
    disk_under_way: int
    disk_kept: int

    @property
    def hours(self) -> float:
        """Of a run's training."""
        return self.steps * self.speed.seconds / 3600


def dry_run(request: Request, where: Where, say: Say) -> str:
    """Plan a bench, train a few steps of each of its methods in a temporary folder, and say what all of it would take.

    Nothing is written to the results.

    Returns:
        Tables in Markdown.

    Raises:
        UserError: Something asked for is at fault, as in `noisebench.bench.start.start`.
    """
    where.check()
    torch.set_num_threads(where.threads)
    with tempfile.TemporaryDirectory(prefix="noisebench-") as scratch:
        cells = plan(dataclasses.replace(request, results=Path(scratch)), say)
        with join(request.device, request.timeout_minutes) as process:
            estimates = _estimate_all(cells, process, where.threads, request.num_processes, say)
            free = free_memory(process.device)
        device = torch.cuda.get_device_name(process.device) if process.device.type == "cuda" else "cpu"
    left = [cell.model_copy(update={"folder": run_folder(request.results, cell.record)}) for cell in cells]
    done = [cell.finished() is not None for cell in left]
    lines = [_setting(cells[0], estimates[0], request, where, device), "", *_cells_table(cells, estimates, done), ""]
    lines += [*_methods_table(cells, estimates), "", *_remarks(cells, estimates, done, request, free)]
    return "\n".join(lines)


def _estimate_all(cells: list[Cell], process: Process, threads: int, num_processes: int, say: Say) -> list[Estimate]:
    """One estimate a cell; cells that differ in seed or noise alone share it."""
    found: dict[tuple[str, int], Estimate] = {}
    num_classes = {path: Manifest.read(path).num_train_classes for path in {cell.inputs.manifest for cell in cells}}
    keys = [(cell.record.method, num_classes[cell.inputs.manifest]) for cell in cells]
    for cell, key in zip(cells, keys, strict=True):
        if key not in found:
            say(f"training a few steps of {cell.record.method} on {key[1]:,} classes")
            found[key] = estimate(cell, process, threads, num_processes)
    return [found[key] for key in keys]


def estimate(cell: Cell, process: Process, threads: int, num_processes: int) -> Estimate:
    """Train a few steps of a cell, by one of its processes, and say what all of it would take."""
    trainer = build_trainer(cell, process, StopRequest(), threads)
    sampler, epochs = trainer.loader.sampler, trainer.settings.epochs
    share = sampler.batch_size // num_processes
    trainer.head.begin_epoch(0, epochs)
    memory_of = memory_model(trainer)
    forget_peak()
    speed = time_steps(trainer, share, lambda size: _fits(memory_of(size), free_memory(process.device)))
    memory = memory_of(share)
    if process.device.type == "cpu":
        memory = dataclasses.replace(memory, program=program_memory(memory_of(speed.batch_sizes[-1])))
    logs = LOG_BYTES_A_ROW * sampler.num_rows + CENTRE_LOG_BYTES_A_CLASS * trainer.head.num_classes
    centres = 4 * trainer.head.num_classes * trainer.head.embedding_size
    weights = sum(tensor.nbytes for tensor in trainer.backbone.state_dict().values())
    kept = epochs * logs + REFERENCES * centres + weights
    checkpoints = (trainer.keep_checkpoints + 1) * (memory.weights + memory.momentum)
    return Estimate(epochs * sampler.steps_per_epoch, speed, memory, kept + checkpoints, kept)


def _fits(memory: Memory, free: int | None) -> bool:
    """Whether what a step needs fits beside the weights, which are there already."""
    return free is None or memory.total - memory.weights <= SHARE_OF_FREE_MEMORY * free


def _setting(cell: Cell, estimate: Estimate, request: Request, where: Where, device: str) -> str:
    training, data = cell.config.training, cell.record.data
    steps_per_epoch = estimate.steps // training.epochs
    return (
        f"suite {cell.record.suite} on {data.num_images:,} images of {data.num_classes:,} classes: "
        f"{training.epochs} epochs of {steps_per_epoch:,} steps of {training.batch_size} images, {device}, "
        f"processes: {request.num_processes}, threads of each: {where.threads}"
    )


def _cells_table(cells: list[Cell], estimates: list[Estimate], done: list[bool]) -> list[str]:
    rows = [("noise", "method", "seed", "steps", "hours", "")]
    for cell, estimate, is_done in zip(cells, estimates, done, strict=True):
        record = cell.record
        state = "done" if is_done else ""
        rows.append((record.noise, record.method, str(record.seed), f"{estimate.steps:,}", _hours(estimate), state))
    return pipe_table(rows)


def _methods_table(cells: list[Cell], estimates: list[Estimate]) -> list[str]:
    """Of each method once: where a noise has made more classes of some, they are the larger ones."""
    rows: list[tuple[str, ...]] = [
        ("method", "s a step", "GB a process", "weights", "gradients", "momentum", "activations", "GB on disk", "kept")
    ]
    largest: dict[str, Estimate] = {}
    for cell, estimate in zip(cells, estimates, strict=True):
        other = largest.setdefault(cell.record.method, estimate)
        largest[cell.record.method] = max(other, estimate, key=lambda one: one.memory.total)
    for method, one in largest.items():
        memory = one.memory
        sizes = (memory.total, memory.weights, memory.gradients, memory.momentum, memory.activations)
        rows.append((method, f"{one.speed.seconds:.3g}", *map(_gb, sizes), _gb(one.disk_under_way), _gb(one.disk_kept)))
    return pipe_table(rows)


def _remarks(
    cells: list[Cell], estimates: list[Estimate], done: list[bool], request: Request, free: int | None
) -> list[str]:
    left = [one for one, is_done in zip(estimates, done, strict=True) if not is_done]
    hours, disk = sum(one.hours for one in left), sum(one.disk_kept for one in left)
    at_once = max((one.disk_under_way - one.disk_kept for one in left), default=0)
    lines = [
        f"{len(left)} of {len(cells)} runs are left: {hours:.3g} hours of training one after the other, without "
        f"tests and checkpoints; {_gb(disk + at_once)} GB on disk at most, {_gb(disk)} GB at the end."
    ]
    share = cells[0].config.training.batch_size // request.num_processes
    timed = sorted({one.speed.batch_sizes for one in estimates if one.speed.batch_sizes[-1] != share})
    for sizes in timed:
        batches = " and ".join(map(str, sizes))
        lines.append(f"A step of {share} images takes too long or too much memory to try: drawn out from {batches}.")
    if request.num_processes > 1:
        lines.append("One process was timed, with its share of a batch and all classes; communication is left out.")
    needed = max(one.memory.total for one in estimates) * request.num_processes
    if free is not None and needed > free:
        lines.append(f"{_gb(needed)} GB of memory are needed, {_gb(free)} GB are free.")
    lines.append("Nothing was written to the results.")
    return lines


def _hours(estimate: Estimate) -> str:
    return f"{estimate.hours:.3g}"


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.3g}"
