"""What a training will take, from a few steps of it: seconds a step by the clock, memory by what autograd keeps."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from noisebench.data.loader import Batch, to_network_input
from noisebench.errors import UserError
from noisebench.training.trainer import Trainer

WARM_UP_STEPS = 2
MOST_STEPS = 50
LEAST_STEPS = 2
SECONDS_OF_STEPS = 8.0
SECONDS_A_SIZE = 60.0
"""About how long the steps of one size may take; where those of whole batches take longer, smaller ones are timed."""
SMALL_BATCHES = (2, 4)


@dataclass(frozen=True)
class Memory:
    """Bytes a training process needs at once.

    Attributes:
        weights: Weights and buffers of backbone and head.
        gradients: Of the weights.
        momentum: Of the weights.
        activations: What the forward pass keeps for the backward pass.
        passing: What a step needs for a moment beside the activations: a gradient on its way to the largest weight.
        copies: What the optimiser needs for a moment once they are gone: the gradients with weight decay.
        program: On a CPU, the interpreter, its libraries and what these keep.
    """

    weights: int
    gradients: int
    momentum: int
    activations: int
    passing: int
    copies: int
    program: int = 0

    @property
    def total(self) -> int:
        """At the moment that takes the most."""
        return self.lasting + self.program + max(self.activations + self.passing, self.copies)

    @property
    def lasting(self) -> int:
        """What is there from step to step."""
        return self.weights + self.gradients + self.momentum


@dataclass(frozen=True)
class Speed:
    """How long a step takes.

    Attributes:
        seconds: Of a step of the whole batch, data reading included.
        batch_sizes: The batches it follows from: the whole one, or smaller ones where that takes too much.
    """

    seconds: float
    batch_sizes: tuple[int, ...]


def memory_model(trainer: Trainer) -> Callable[[int], Memory]:
    """Memory by the number of images in a batch of one process, from forward passes of two small batches."""
    modules = (trainer.backbone, trainer.head)
    weights = [weight for module in modules for weight in module.parameters()]
    trained = [weight for weight in weights if weight.requires_grad]
    buffers = [buffer for module in modules for buffer in module.buffers()]
    averages = trainer.backbone.state_dict().values() if trainer.settings.ema is not None else ()
    gradients, largest = sum(map(_num_bytes, trained)), max(map(_num_bytes, trained))
    small, larger = (_kept_for_backward(trainer, size) for size in SMALL_BATCHES)
    an_image = (larger - small) / (SMALL_BATCHES[1] - SMALL_BATCHES[0])
    without_batch = Memory(
        weights=sum(map(_num_bytes, [*weights, *buffers, *averages])),
        gradients=gradients,
        momentum=gradients if trainer.settings.momentum else 0,
        activations=0,
        passing=largest,
        copies=largest if trainer.process.device.type == "cpu" else gradients,  # one at a time, or all at once
    )

    def of_batch(size: int) -> Memory:
        at_once = size / trainer.settings.accumulate
        return replace(without_batch, activations=int(small + an_image * (at_once - SMALL_BATCHES[0])))

    return of_batch


def forget_peak() -> None:
    """Begin anew to note the most memory this process has resident."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def program_memory(memory: Memory) -> int:
    """Bytes this process had resident since `forget_peak`, on a CPU, beyond what a model says of the steps it made."""
    return max(0, _bytes_in(Path("/proc/self/status"), "VmHWM") - memory.total)


def time_steps(trainer: Trainer, batch_size: int, fits: Callable[[int], bool]) -> Speed:
    """Time real steps: of the whole batch where time and memory allow, else of smaller ones, drawn out in a line.

    Args:
        trainer: Is trained a little.
        batch_size: Of one process.
        fits: Whether a batch of so many images fits into memory.
    """
    sizes = [min(batch_size, SMALL_BATCHES[1])]
    seconds = [_seconds_a_step(trainer, sizes[0])]
    while sizes[-1] < batch_size:
        larger = [size for size in _doubled(sizes[-1], batch_size) if _affordable(seconds[-1] * size / sizes[-1])]
        larger = [size for size in larger if fits(size)]
        if not larger:
            break
        sizes.append(larger[-1])
        seconds.append(_seconds_a_step(trainer, sizes[-1]))
    if sizes[-1] == batch_size:
        return Speed(seconds[-1], (batch_size,))
    if len(sizes) == 1:
        return Speed(seconds[0] * batch_size / sizes[0], (sizes[0],))
    a_sample = max(0.0, seconds[-1] - seconds[0]) / (sizes[-1] - sizes[0])
    return Speed(seconds[-1] + a_sample * (batch_size - sizes[-1]), (sizes[0], sizes[-1]))


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free now; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return _bytes_in(Path("/proc/meminfo"), "MemAvailable")
    except OSError:
        return None


def _doubled(size: int, batch_size: int) -> list[int]:
    """Twice the size, twice that and so on, and the whole batch."""
    doubled = itertools.takewhile(lambda larger: larger < batch_size, (size << power for power in itertools.count(1)))
    return [*doubled, batch_size]


def _affordable(seconds: float) -> bool:
    return seconds * (WARM_UP_STEPS + LEAST_STEPS) <= SECONDS_A_SIZE


def _seconds_a_step(trainer: Trainer, batch_size: int) -> float:
    """Mean time of a step, reading its data included, once the first ones are over."""
    trainer.backbone.train()
    began = 0.0
    for number, batch in enumerate(_batches(trainer, batch_size), start=1 - WARM_UP_STEPS):
        trainer.train_step(batch)
        if trainer.process.device.type == "cuda":
            torch.cuda.synchronize(trainer.process.device)
        if number == 0:
            began = time.perf_counter()
        seconds = time.perf_counter() - began
        if number >= MOST_STEPS or (number >= LEAST_STEPS and seconds >= SECONDS_OF_STEPS):
            return seconds / number
    raise AssertionError("the batches never end")


def _batches(trainer: Trainer, batch_size: int) -> Iterator[Batch]:
    """Batches of a size of one process, without end. Noise that only whole batches can have is cut with them."""
    loader = trainer.loader
    sampler = replace(loader.sampler, batch_size=batch_size, world_size=1)
    try:
        loader = replace(loader, sampler=sampler)
    except UserError:
        whole = (batch for epoch in itertools.count() for batch in loader.epoch(epoch))
        return (_cut(batch, batch_size) for batch in whole)
    return (batch for epoch in itertools.count() for batch in loader.epoch(epoch))


def _cut(batch: Batch, size: int) -> Batch:
    rows, images, labels, true_labels = (
        part[:size] for part in (batch.rows, batch.images, batch.labels, batch.true_labels)
    )
    return Batch(rows, images, labels, true_labels)


def _kept_for_backward(trainer: Trainer, batch_size: int) -> int:
    """Bytes of all tensors, weights excepted, that a forward pass of backbone and head keeps for the backward pass."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    device = trainer.process.device
    batch = next(_batches(trainer, batch_size))
    trainer.backbone.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        images = to_network_input(batch.images, device)
        output = trainer.head(trainer.embed(images), batch.labels.to(device), batch.true_labels.to(device))
    for weight in itertools.chain(trainer.backbone.parameters(), trainer.head.parameters()):
        kept.pop(weight.untyped_storage().data_ptr(), None)
    num_bytes = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del output  # not before: what it keeps has addresses of its own only while it lives
    return num_bytes


def _num_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _bytes_in(path: Path, key: str) -> int:
    """The number of bytes in a line ``key: N kB`` of one of the kernel's files."""
    lines = path.read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
