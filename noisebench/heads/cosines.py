"""The cosines of a batch to all class centres, block of classes by block of classes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SMALLEST_NORM = 1e-12
CLASSES_PER_BLOCK_CPU = 2048  # at a batch of 256 a block is 2 MB: it stays in the cache from one operation to the next
ELEMENTS_PER_BLOCK_GPU = 1 << 28  # there a kernel's start costs more than the traffic it saves
BELOW_ANY_COSINE = -2.0


class Cosines:
    """The B x C cosine matrix, without gradient, as blocks [B, n] of n neighbouring classes.

    Blocks may be changed in place and, once `take` has handed them out, are gone: the matrix is never copied.

    Args:
        units: Unit embeddings [B, D].
        centres: Class centres [C, D], of any length.

    Attributes:
        inverse_norms: 1 / length of each centre [C]; 0 for a zero centre, whose cosines are 0.
    """

    def __init__(self, units: Tensor, centres: Tensor) -> None:
        self.inverse_norms = inverse(torch.linalg.vector_norm(centres, dim=1))
        size = _classes_per_block(len(units), centres.device)
        self._blocks = [
            # Scaling the product's columns costs B x n; normalised centres would cost n x D, and be kept.
            (start, torch.mm(units, centres[start : start + size].T).mul_(self.inverse_norms[start : start + size]))
            for start in range(0, len(centres), size)
        ]

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """The blocks, each with its first class."""
        return iter(self._blocks)

    def take(self) -> Iterator[tuple[int, Tensor]]:
        """The blocks, each for the last time: what is done with it is no longer seen here.

        Raises:
            RuntimeError: They have been taken before.
        """
        if not self._blocks:
            raise RuntimeError("backward ran twice: the first time has turned the cosine matrix into its gradient")
        while self._blocks:
            yield self._blocks.pop()

    def at(self, labels: Tensor) -> Tensor:
        """The cosine of each row to the class in ``labels`` [B], within [-1, 1]; NaN where there is no such class."""
        found = torch.full(labels.shape, torch.nan, dtype=self.inverse_norms.dtype, device=labels.device)
        for start, block in self:
            columns, inside = _locate(labels, start, block)
            found = torch.where(inside, block.gather(1, columns), found[:, None]).squeeze(1)
        return found.clamp(-1, 1)

    def nearest(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The largest cosine of each row to a class other than its label, and that class: [B] and int64 [B]."""
        cosine = torch.full(labels.shape, BELOW_ANY_COSINE, dtype=self.inverse_norms.dtype, device=labels.device)
        nearest = torch.zeros_like(labels)
        for start, block in self:
            columns, _ = _locate(labels, start, block)
            kept = block.gather(1, columns)
            fill_labels(block, start, labels, BELOW_ANY_COSINE)
            largest, column = block.max(dim=1)
            block.scatter_(1, columns, kept)
            nearest = torch.where(largest > cosine, column + start, nearest)
            cosine = torch.maximum(cosine, largest)
        return cosine.clamp(-1, 1), nearest


def unit_vectors(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [B, D] scaled to length 1, and their lengths [B]; differentiable. A zero row stays zero, with gradient 0."""
    norms = torch.linalg.vector_norm(vectors, dim=1)
    return vectors * inverse(norms)[:, None], norms


def inverse(norms: Tensor) -> Tensor:
    """1 / norm, and 0 for a norm of 0: a zero vector has no direction, so it neither attracts nor learns."""
    return torch.where(norms < SMALLEST_NORM, 0.0, 1 / norms.clamp(min=SMALLEST_NORM))


def fill_labels(block: Tensor, start: int, labels: Tensor, value: Tensor | float) -> None:
    """Set, in place, the entry of each row's label, where the block holds it, to ``value`` (scalar or [B])."""
    columns, inside = _locate(labels, start, block)
    if isinstance(value, Tensor):
        value = value[:, None]
    block.scatter_(1, columns, torch.where(inside, value, block.gather(1, columns)))


def _locate(labels: Tensor, start: int, block: Tensor) -> tuple[Tensor, Tensor]:
    """Column of each label in a block [B, 1], and whether it lies there at all [B, 1]; a valid column in any case."""
    column = (labels - start)[:, None]
    clamped = column.clamp(0, block.shape[1] - 1)
    return clamped, column == clamped


def _classes_per_block(batch_size: int, device: torch.device) -> int:
    return CLASSES_PER_BLOCK_CPU if device.type == "cpu" else max(1, ELEMENTS_PER_BLOCK_GPU // batch_size)
