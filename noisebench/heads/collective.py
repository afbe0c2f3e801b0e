"""What processes tell each other about a batch; with one process, nothing."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> tuple[int, int]:
    """Rank of this process, and how many there are: 0 and 1 where it is alone."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def gather(values: Tensor) -> Tensor:
    """The values of all processes, [B, ...] to [world size · B, ...], in the order of ranks; the same B in all."""
    size = world()[1]
    if size == 1:
        return values
    parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(size)]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def own_slice(batch_size: int) -> slice:
    """Where this process's rows stand among those gathered from all."""
    rank = world()[0]
    return slice(rank * batch_size, (rank + 1) * batch_size)


def reduce(values: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
    """Each value reduced over all processes, in a tensor of its own."""
    result = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(result, op=operation)
    return result


def gather_live(values: Tensor, *, partial: bool) -> Tensor:
    """`gather`, with a gradient for this process's own values.

    Each process computes the mean loss of the global batch from the gathered values. The gradient is made that of the
    mean over the process's own rows, as if it had been alone with them, because the gradients of whatever lies before
    are averaged over the processes.

    Args:
        values: [B, ...].
        partial: Whether each process finds but a part of the gradient, so that the parts must be added; else all
            find the same, which is whole.
    """
    if world()[1] == 1:
        return values
    gathered: Tensor = _GatherLive.apply(values, partial)  # type: ignore[no-untyped-call]
    return gathered


class _GatherLive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, partial: bool) -> Tensor:
        ctx.partial = partial
        return gather(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        size = world()[1]
        if ctx.partial:
            gradient = reduce(gradient, dist.ReduceOp.SUM)
        return gradient[own_slice(len(gradient) // size)] * size, None
