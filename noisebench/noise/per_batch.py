"""Noise by batch: what is done to each place in an epoch's order of samples, whichever sample stands there.

Source: the released training code of RobustFace. In every batch of B images the first floor(B x open) are replaced by
outliers and keep their labels; the next floor(B x closed) bear the label after their own. All of it is a function of
the noise seed, the epoch and the place in the order, so neither the number of processes nor a resumption changes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from noisebench.config import Settings
from noisebench.errors import UserError
from noisebench.noise.counter import bits
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import CLEAN, CLOSED, OPEN

NO_OUTLIER = -1
"""Key where a sample shows its own image."""


@dataclass(frozen=True)
class Exposures:
    """What is done to each of B samples this time.

    Attributes:
        kind: Codes into ``noisebench.noise.manifest.KINDS``, int8 [B].
        outlier_index: Key in the outlier set of the image shown instead, `NO_OUTLIER` for none; int64 [B].
    """

    kind: NDArray[np.int8]
    outlier_index: NDArray[np.int64]

    def labels(self, labels: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
        """The labels to train with, [B]: the samples' own, or for closed-set noise the ones after them."""
        return np.where(self.kind == CLOSED, (labels + 1) % num_classes, labels)


class BatchNoise(Settings):
    """Noise by batch with its rates turned into counts: the noise a training with batches of some size meets."""

    batch_size: int = Field(description="Images in the batches that the counts are of, in the epoch's order.")
    closed: int = Field(description="Images of each batch that bear the label after their own.")
    open: int = Field(description="Images of each batch that outliers replace.")
    seed: int = Field(description="Noise seed: which outlier stands in for which image.")

    @classmethod
    def of(cls, recipe: NoiseRecipe, seed: int, batch_size: int) -> BatchNoise | None:
        """The noise of a recipe in a training with this batch, over all processes; None if it is not by batch.

        Raises:
            UserError: The batch is too small for any noise, or is not cut evenly by the batch the recipe counts in.
        """
        rule = recipe.per_batch
        if rule is None:
            return None
        counted_in = rule.batch_size or batch_size
        if batch_size % counted_in:
            raise UserError(
                f"batch_size {batch_size} is no multiple of the {counted_in} images that noise '{recipe.name}' is "
                "counted in: choose a multiple, or another per_batch.batch_size"
            )
        closed, open_ = math.floor(rule.closed * counted_in), math.floor(rule.open * counted_in)
        if not closed + open_:
            raise UserError(
                f"noise '{recipe.name}' hits no image in a batch of {counted_in}: {rule.closed} x {counted_in} and "
                f"{rule.open} x {counted_in} are less than 1 (choose a larger batch)"
            )
        return cls(batch_size=counted_in, closed=closed, open=open_, seed=seed)

    def __str__(self) -> str:
        shares = [
            f"{count / self.batch_size:.2%} {kind}-set ({count} of {self.batch_size} images)"
            for kind, count in (("closed", self.closed), ("open", self.open))
        ]
        return f"by batch, not a property of the sample: {' and '.join(shares)}"

    def in_epoch(self, epoch: int, outlier_keys: NDArray[np.int64]) -> EpochNoise:
        """The noise of one epoch, with outliers of these keys, [M]; M may be 0 where none replaces an image."""
        order = np.argsort(bits(self.seed, f"per_batch/{epoch}", outlier_keys), kind="stable")
        return EpochNoise(self, outlier_keys[order])


@dataclass(frozen=True)
class EpochNoise:
    """Noise by batch in one epoch.

    Args:
        noise: How much there is of it.
        outliers: Keys of the outlier set in the order they are shown in, int64 [M]; after the last comes the first.
    """

    noise: BatchNoise
    outliers: NDArray[np.int64]

    def at(self, positions: NDArray[np.int64]) -> Exposures:
        """What is done to the samples at these places of the epoch's order, [B], counted from 0."""
        batch, place = np.divmod(positions, self.noise.batch_size)
        is_open = place < self.noise.open
        is_closed = ~is_open & (place < self.noise.open + self.noise.closed)
        kind = np.where(is_open, OPEN, np.where(is_closed, CLOSED, CLEAN)).astype(np.int8)
        outlier_index = np.full(len(positions), NO_OUTLIER, dtype=np.int64)
        number = (batch * self.noise.open + place)[is_open]
        outlier_index[is_open] = self.outliers[number % max(1, len(self.outliers))]
        return Exposures(kind, outlier_index)
