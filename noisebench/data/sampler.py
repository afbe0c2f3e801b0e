"""Which rows each rank trains on at each step: a function of (seed, epoch) alone, never of the number of ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.noise.counter import bits


@dataclass(frozen=True, kw_only=True)
class BatchSampler:
    """Cut each epoch's order into global batches, and each of them into equal shares of the ranks.

    A batch is first cut into contiguous parts, as many as gradients are accumulated over, and each part into one
    contiguous share a rank, so that which samples stand in a part does not depend on the number of ranks either.

    The last incomplete batch of an epoch is left out, so every step sees the same number of samples.

    Args:
        num_rows: Rows of the manifest.
        batch_size: Samples in a step over all ranks.
        seed: Named seed of the order.
        rank: This process.
        world_size: Number of processes.
        parts: Of a batch; a rank's rows of the first come first.

    Raises:
        UserError: The batch does not divide over the ranks, or is larger than the data set.
    """

    num_rows: int
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % (self.world_size * self.parts):
            parts = f", each with {self.parts} parts of it" if self.parts > 1 else ""
            raise UserError(
                f"batch_size {self.batch_size} does not divide over {self.world_size} processes{parts}: "
                "choose a multiple, or another number of processes"
            )
        if self.num_rows < self.batch_size:
            raise UserError(f"batch_size {self.batch_size} is larger than the data set of {self.num_rows} images")

    @property
    def steps_per_epoch(self) -> int:
        """Number of complete global batches."""
        return self.num_rows // self.batch_size

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The epoch's permutation of all rows, drawn by counter-based hashing so that no library can change it."""
        return np.argsort(bits(self.seed, f"order/{epoch}", np.arange(self.num_rows)), kind="stable")

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[NDArray[np.int64]]:
        """This rank's rows, step by step."""
        order = self.order(epoch)
        for step in range(first_step, self.steps_per_epoch):
            yield order[self.positions(step)]

    def positions(self, step: int) -> NDArray[np.int64]:
        """Where this rank's rows of a step stand in an epoch's order."""
        part = self.batch_size // self.parts
        share = part // self.world_size
        starts = step * self.batch_size + part * np.arange(self.parts) + self.rank * share
        return (starts[:, None] + np.arange(share)).ravel()

    def global_batch(self, epoch: int, step: int) -> NDArray[np.int64]:
        """The rows of all ranks at one step."""
        return self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
