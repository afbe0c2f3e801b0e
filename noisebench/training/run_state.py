"""All that a run in progress consists of, as a checkpoint holds it: one more stateful object is one more part."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from noisebench.config import Settings
from noisebench.errors import FileError
from noisebench.files import remove_leftovers
from noisebench.heads.collective import gather
from noisebench.heads.head import Head
from noisebench.training import checkpoint, dcp
from noisebench.training.dcp import Block, Part
from noisebench.training.distributed import Process
from noisebench.training.progress import EpochSummary


class Stateful(Protocol):
    """A part of a run's state. Every process has one."""

    def state_dict(self) -> dict[str, Tensor]:
        """What this process holds. All processes ask for it at the same time."""

    def load_state_dict(self, state: dict[str, Tensor]) -> object:
        """Go on from there; tensors lie on the CPU."""

    def part(self, name: str) -> Part | None:
        """Which rows of that tensor this process holds; None where every process holds all of it."""


class ModuleState:
    """Parameters and buffers of a module that every process has alike."""

    def __init__(self, module: nn.Module) -> None:
        self.state_dict, self.load_state_dict = module.state_dict, module.load_state_dict

    def part(self, name: str) -> Part | None:
        """See `Stateful`."""
        return None


class HeadState:
    """A head, whose class centres may be split over the processes."""

    def __init__(self, head: Head) -> None:
        self.state_dict, self.load_state_dict = head.state_dict, head.load_state_dict
        held = head.own_rows(torch.arange(head.num_classes))
        is_split = len(held) < head.num_classes
        self.centres = Part(int(held[0]), len(held), head.num_classes) if is_split else None

    def part(self, name: str) -> Part | None:
        """See `Stateful`."""
        return self.centres if name == "centres" else None


class OptimizerState:
    """What an optimiser keeps of each weight, such as its momentum, split as the weight is.

    Args:
        optimizer: Steps the weights of the modules.
        modules: By name, with the state of each, which knows what is split.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, modules: Mapping[str, tuple[nn.Module, Stateful]]) -> None:
        self.optimizer = optimizer
        self.weights, self.parts = dict[str, nn.Parameter](), dict[str, Part | None]()
        for module_name, (module, state) in modules.items():
            for name, weight in module.named_parameters():
                self.weights[f"{module_name}.{name}"] = weight
                self.parts[f"{module_name}.{name}"] = state.part(name)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Stateful`; settings of the optimiser are the configuration's, and its learning rate the schedule's."""
        kept = {name: self.optimizer.state.get(weight, {}) for name, weight in self.weights.items()}
        return {
            f"{name}.{key}": value
            for name, of_weight in kept.items()
            for key, value in of_weight.items()
            if isinstance(value, Tensor)
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """See `Stateful`."""
        for full_name, value in state.items():
            name, _, key = full_name.rpartition(".")
            weight = self.weights[name]
            alike = torch.empty_like(weight) if value.shape == weight.shape else torch.empty_like(value)
            self.optimizer.state[weight][key] = alike.copy_(value)

    def part(self, name: str) -> Part | None:
        """See `Stateful`; a number for the whole weight, such as a count of steps, is not split."""
        weight_name = name.rpartition(".")[0]
        return None if name.endswith(".step") else self.parts[weight_name]


class EpochUnderWay:
    """What the epoch under way has come to: its steps, their losses, and the rows of the log.

    Attributes:
        number: Of the epoch, from 0.
        step: How many of its steps are done.
        seconds: Spent on them, over all sittings.
    """

    def __init__(self, batch_size: int, process: Process) -> None:
        self.batch_size, self.process = batch_size, process
        self.begin(0)

    def begin(self, number: int, step: int = 0, seconds: float = 0.0) -> None:
        """Begin an epoch, or go on with it after so many steps."""
        self.number, self.step, self._seconds, self._since = number, step, seconds, time.perf_counter()
        self._losses: list[Tensor] = []  # of this process, of the steps not in `_mean_losses`
        self._mean_losses = torch.empty(0)  # over all processes
        self._recent: list[dict[str, Tensor]] = []  # rows of the log by step, wherever they were computed
        self._rows: dict[str, Tensor] = {}  # those before, on the CPU

    @property
    def seconds(self) -> float:
        """Spent on the epoch, over all sittings."""
        return self._seconds + time.perf_counter() - self._since

    def add(self, loss: Tensor, given: Mapping[str, NDArray[np.integer]], found: Mapping[str, Tensor]) -> None:
        """Add a step: its loss, and columns of the log. Nothing is copied, so no device is waited for."""
        self.step += 1
        self._losses.append(loss)
        self._recent.append({name: torch.from_numpy(column) for name, column in given.items()} | dict(found))

    def are_finite(self, steps: int) -> NDArray[np.bool_]:
        """Whether the losses of this process were finite in the last so many steps."""
        finite: NDArray[np.bool_] = torch.isfinite(torch.stack(self._losses[-steps:])).cpu().numpy()
        return finite

    def losses(self) -> Tensor:
        """The loss of each step, its mean over the processes, [steps]. All processes must ask."""
        if self._losses:
            own = torch.stack(self._losses)
            means = gather(own[None]).mean(dim=0).cpu()  # unlike a reduction, it does not depend on how many there are
            self._mean_losses, self._losses = torch.cat([self._mean_losses, means]), []
        return self._mean_losses

    def rows(self) -> dict[str, Tensor]:
        """The rows of the log so far, by column: those of this process, or its share where processes changed."""
        if self._recent:
            new = {name: torch.cat([rows[name] for rows in self._recent]).cpu() for name in self._recent[0]}
            self._rows = {name: torch.cat([self._rows[name], new[name]]) for name in new} if self._rows else new
            self._recent = []
        return self._rows

    def state_dict(self) -> dict[str, Tensor]:
        """See `Stateful`."""
        return {"losses": self.losses()} | {f"rows.{name}": column for name, column in self.rows().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """See `Stateful`; `begin` has said how many steps are done."""
        self._mean_losses = state.pop("losses")
        self._rows = {name.removeprefix("rows."): column for name, column in state.items()}

    def part(self, name: str) -> Part | None:
        """See `Stateful`."""
        if name == "losses":
            return None
        total = self.step * self.batch_size
        share = total // self.process.world_size
        return Part(self.process.rank * share, share, total)


class Position(Settings):
    """Where a run stands, and what its finished epochs came to."""

    run_hash: str
    world_size: int = Field(description="How many processes wrote the checkpoint; any number may go on from it.")
    epoch: int
    step: int = Field(description="Steps of that epoch that are done.")
    seconds: float
    history: tuple[dict[str, Any], ...]


@dataclasses.dataclass
class RunState:
    """The state of a run, saved and found again.

    Args:
        folder: The run's folder.
        run_hash: Identity of the run.
        process: This process.
        steps_per_epoch: Steps of an epoch.
        parts: What the run consists of, by name.
        epoch: The epoch under way, one of the parts.
        history: Every finished epoch.
        keep: How many of the last checkpoints are kept.
    """

    folder: Path
    run_hash: str
    process: Process
    steps_per_epoch: int
    parts: Mapping[str, Stateful]
    epoch: EpochUnderWay
    keep: int
    history: list[EpochSummary] = dataclasses.field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps done over the whole run."""
        return self.epoch.number * self.steps_per_epoch + self.epoch.step

    def oldest_epoch(self) -> int:
        """The epoch that the oldest checkpoint stands in, perhaps at its end, with its logs still to be written."""
        step = min(map(checkpoint.step_of, checkpoint.checkpoints(self.folder)))
        return max(0, step - 1) // self.steps_per_epoch

    def save(self) -> None:
        """Write a checkpoint. All processes must call it.

        Raises:
            UserError: It could not be written; the earlier ones stand.
        """
        position = Position(
            run_hash=self.run_hash,
            world_size=self.process.world_size,
            epoch=self.epoch.number,
            step=self.epoch.step,
            seconds=self.epoch.seconds,
            history=tuple(dataclasses.asdict(summary) for summary in self.history),
        )
        blocks = {}
        for part_name, stateful in self.parts.items():
            for name, tensor in stateful.state_dict().items():
                part = stateful.part(name)
                if part is not None or self.process.is_first:  # what all have alike, the first one writes
                    blocks[f"{part_name}.{name}"] = Block(tensor.detach(), part)
        checkpoint.save(self.folder, self.step, blocks, position.model_dump(), self.process, keep=self.keep)

    def find(self) -> Path | None:
        """Find the newest sound checkpoint, if there is one, and stand where it stood. All processes must call it.

        Files that a killed process left unfinished in the run's folder are removed, and the outdated checkpoints that
        it had no time to remove.

        Raises:
            UserError: It is one of another run.
        """
        self.process.on_first(lambda: remove_leftovers(self.folder))
        found = self.process.on_first(lambda: checkpoint.newest(self.folder))
        if found is not None:
            position = Position.model_validate(checkpoint.read_state(found))
            if position.run_hash != self.run_hash:
                raise FileError(found, "is the checkpoint of another run", "remove it to start anew")
            self.process.on_first(lambda: checkpoint.remove_outdated(self.folder, self.keep))
            self.epoch.begin(position.epoch, position.step, position.seconds)
            self.history = [EpochSummary(**summary) for summary in position.history]
        return found

    def load(self, found: Path) -> None:
        """Load the state that `find` found."""
        blocks = {name: self._empty_block(name, saved) for name, saved in dcp.saved_tensors(found).items()}
        dcp.read(found, blocks)
        for part_name, stateful in self.parts.items():
            prefix = f"{part_name}."
            own = {name: block.tensor for name, block in blocks.items() if name.startswith(prefix)}
            stateful.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in own.items()})

    def _empty_block(self, full_name: str, saved: dcp.Saved) -> Block:
        part_name, _, name = full_name.partition(".")
        part = self.parts[part_name].part(name)
        shape = saved.shape if part is None else torch.Size([part.count, *saved.shape[1:]])
        return Block(torch.empty(shape, dtype=saved.dtype), part)
