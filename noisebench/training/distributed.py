"""One process or many under ``torchrun``: the same code, gloo on the CPU, nccl on GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from noisebench.errors import UserError

T = TypeVar("T")


class PeerLost(Exception):  # noqa: N818 - nothing is wrong with this process
    """Another process of the run is gone, or cannot be reached; what was saved stands.

    Args:
        reason: What is known of it.
        is_told_here: Whether this process is the one to tell it, of those that noticed.
    """

    def __init__(self, reason: str, *, is_told_here: bool) -> None:
        super().__init__(reason)
        self.is_told_here = is_told_here


def is_lost_connection(error: BaseException | None) -> bool:
    """Whether an error came from the connection to another process. Gloo's have no class of their own."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


@dataclass(frozen=True)
class Process:
    """This process among those that train one run.

    Attributes:
        rank: Number of this process, 0 for the first.
        world_size: How many there are.
        device: Where this one computes.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes results and shows progress."""
        return self.rank == 0

    @property
    def is_distributed(self) -> bool:
        """Whether there are other processes to agree with."""
        return self.world_size > 1

    def any(self, *conditions: bool) -> list[bool]:
        """Whether each condition holds on any process; all of them must ask."""
        if not self.is_distributed:
            return list(conditions)
        flags = torch.tensor(conditions, dtype=torch.uint8, device=self.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return [bool(flag) for flag in flags.tolist()]

    def on_first(self, action: Callable[[], T]) -> T:
        """What an action gives that the first process alone performs; all of them must ask.

        Raises:
            UserError: The action raised it: then every process does.
        """
        outcome: list[Any] = [None, None]
        if self.is_first:
            try:
                outcome[0] = action()
            except UserError as error:
                outcome[1] = str(error)
        if self.is_distributed:
            dist.broadcast_object_list(outcome)
        result, problem = outcome
        if problem is not None:
            raise UserError(problem)
        return cast(T, result)

    def gather(self, value: T) -> list[T]:
        """The plain values of all processes, by rank."""
        values: list[Any] = [value] * self.world_size
        if self.is_distributed:
            dist.all_gather_object(values, value)
        return values

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor, in place, by its mean over the processes."""
        if self.is_distributed:
            for tensor in tensors:
                dist.all_reduce(tensor)
                tensor.div_(self.world_size)

    def wrap(self, backbone: nn.Module) -> nn.Module:
        """The backbone with its gradients averaged over the processes."""
        if not self.is_distributed:
            return backbone
        devices = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(backbone, device_ids=devices, gradient_as_bucket_view=True)


@contextmanager
def join(device: str = "auto", timeout_minutes: float = 10) -> Iterator[Process]:
    """Join the processes ``torchrun`` started, or be the only one.

    Args:
        device: "cpu", "cuda", or "auto" for CUDA where there is one.
        timeout_minutes: How long processes may wait for each other before they leave.
    """
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    here = torch.device(kind, int(os.environ.get("LOCAL_RANK", "0"))) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(here)
    if world_size > 1:
        backend = "nccl" if kind == "cuda" else "gloo"
        timeout = timedelta(minutes=2 * timeout_minutes)  # the watchdog, which can say more, is to be the first
        dist.init_process_group(backend, timeout=timeout, rank=rank, world_size=world_size)
    try:
        yield Process(rank, world_size, here)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
