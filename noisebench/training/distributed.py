"""One process or many under ``torchrun``: the same code, gloo on the CPU, nccl on GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


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

    def any(self, condition: bool) -> bool:
        """Whether the condition holds on any process; all of them must ask."""
        if not self.is_distributed:
            return condition
        flag = torch.tensor(float(condition), device=self.device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())

    def barrier(self) -> None:
        """Wait until every process has come here."""
        if self.is_distributed:
            dist.barrier()

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
def join(device: str = "auto") -> Iterator[Process]:
    """Join the processes ``torchrun`` started, or be the only one.

    Args:
        device: "cpu", "cuda", or "auto" for CUDA where there is one.
    """
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    here = torch.device(kind, int(os.environ.get("LOCAL_RANK", "0"))) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(here)
    if world_size > 1:
        dist.init_process_group("nccl" if kind == "cuda" else "gloo", rank=rank, world_size=world_size)
    try:
        yield Process(rank, world_size, here)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
