"""Which classes a process computes with, and how what each process finds among its own becomes one answer for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor

from noisebench.heads.collective import gather, reduce


@dataclass(frozen=True)
class Classes:
    """The classes that this process computes with: all of them, a shard, or a sample of either.

    Attributes:
        total: Number of all classes C, over all processes.
        rank: Of this process among those that share the classes; the others hold neighbouring classes.
        world_size: How many processes share them; 1 where each holds all.
        sample: Which of those held here are used, as sorted int64 rows [S]; None for all.
    """

    total: int
    rank: int = 0
    world_size: int = 1
    sample: Tensor | None = None

    @property
    def start(self) -> int:
        """The first class held here."""
        share, rest = divmod(self.total, self.world_size)
        return share * self.rank + min(rest, self.rank)

    @property
    def count(self) -> int:
        """How many classes are held here; they differ by one at most between processes."""
        share, rest = divmod(self.total, self.world_size)
        return share + (self.rank < rest)

    @property
    def num_used(self) -> int:
        """How many of them are used."""
        return self.count if self.sample is None else len(self.sample)

    def rows(self, labels: Tensor) -> Tensor:
        """Where each label stands among the classes held here, int64; -1 where it does not."""
        rows = labels - self.start
        return torch.where((rows >= 0) & (rows < self.count), rows, -1)

    def positions(self, labels: Tensor) -> Tensor:
        """Where each label stands among the classes used here, int64; -1 where it does not."""
        rows = self.rows(labels)
        if self.sample is None:
            return rows
        found = torch.searchsorted(self.sample, rows).clamp(max=len(self.sample) - 1)
        return torch.where(self.sample[found] == rows, found, -1)

    def labels(self, positions: Tensor) -> Tensor:
        """The labels of classes at these positions."""
        return (positions if self.sample is None else self.sample[positions]) + self.start

    def exists(self, labels: Tensor) -> Tensor:
        """Whether there is such a class at all, bool."""
        return (labels >= 0) & (labels < self.total)

    def sampled(self, labels: Tensor, rate: float, generator: torch.Generator) -> Self:
        """A sample of these classes: those of the labels, and others drawn at random.

        Its size, a fraction ``rate`` but at least as many as there are labels, does not depend on the labels' values:
        to learn of these would halt a GPU.
        """
        priority = torch.rand(self.count + 1, generator=generator, device=labels.device)
        priority[self.rows(labels)] = 2.0  # the last, one too many, is for labels of other processes
        size = min(self.count, max(round(rate * self.count), len(labels)))
        return replace(self, sample=priority[:-1].topk(size, sorted=False).indices.sort().values)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes that share the classes."""
        return values if self.world_size == 1 else reduce(values, dist.ReduceOp.SUM)

    def log_sum_exp(self, values: Tensor) -> Tensor:
        """The log of the sum of exponentials over the processes; also of values of minus infinity."""
        if self.world_size == 1:
            return values
        largest = reduce(values, dist.ReduceOp.MAX).clamp(min=torch.finfo(values.dtype).min)
        return reduce((values - largest).exp(), dist.ReduceOp.SUM).log() + largest

    def largest(self, values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The largest value over the processes and its label, the lowest among equals."""
        if self.world_size == 1:
            return values, labels
        largest = reduce(values, dist.ReduceOp.MAX)
        candidate = torch.where(values == largest, labels, self.total)
        return largest, reduce(candidate, dist.ReduceOp.MIN)

    def gather_rows(self, rows: Tensor) -> Tensor:
        """From the rows of the classes held here, [count, ...], those of all classes, [C, ...]."""
        if self.world_size == 1:
            return rows
        most = -(-self.total // self.world_size)
        padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
        parts = gather(padded).view(self.world_size, most, *rows.shape[1:])
        return torch.cat([part[: replace(self, rank=rank).count] for rank, part in enumerate(parts)])

    def own_rows(self, rows: Tensor) -> Tensor:
        """From the rows of all classes, [C, ...], those of the classes held here."""
        return rows[self.start : self.start + self.count]
