"""Noise that hits whole identities: some are split into several labels, some are merged into another identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.noise.counter import below, bits
from noisebench.noise.recipe import IdentityNoise
from noisebench.noise.schema import MAX_CLASSES

KEPT = -1


@dataclass(frozen=True)
class Identities:
    """What becomes of each of C identities.

    Attributes:
        seed: Noise seed.
        parts: How many identities a split one becomes.
        first_new: The first of the ``parts`` - 1 new labels of a split identity, int64 [C]; others: ``KEPT``.
        host: The identity whose label a merged one bears, int64 [C]; others: ``KEPT``.
    """

    seed: int
    parts: int
    first_new: NDArray[np.int64]
    host: NDArray[np.int64]

    @property
    def num_new(self) -> int:
        """Number of new labels: from C to C + ``num_new`` - 1."""
        return int((self.first_new != KEPT).sum()) * (self.parts - 1)

    def num_changed(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many of each identity's images, int64 [C], lose its label: all, or all parts' but the first's."""
        leaving = images * (self.parts - 1) // self.parts
        return np.where(self.host != KEPT, images, np.where(self.first_new != KEPT, leaving, 0))

    def new_labels(self, keys: NDArray[np.int64], labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """The labels, int32 [K], of images that lose their own: the host's, or any of the new ones with the same odds.

        Args:
            keys: Record keys of the images that `num_changed` counts, int64 [K].
            labels: Their true labels, int32 [K].
        """
        part = below(self.seed, "identities/part", keys, self.parts - 1)
        return np.where(self.host[labels] != KEPT, self.host[labels], self.first_new[labels] + part).astype(np.int32)


def draw(noise: IdentityNoise, num_classes: int, seed: int) -> Identities:
    """Choose the identities that are split and merged, an exact number of each, and the hosts of the merged ones.

    The identities are ranked by a hash of their labels; split ones are taken from the low end and merged ones from the
    high end; new labels count on from C in the order of the ranking. So with one seed a higher share adds some and
    changes none of those chosen before, save that hosts are drawn anew: from the identities not merged themselves.

    Raises:
        UserError: There are merged identities, and none that is not; or there would be too many labels.
    """
    labels = np.arange(num_classes)
    ranking = np.argsort(bits(seed, "identities", labels))
    num_split = round(noise.split * num_classes)
    num_merged = min(round(noise.merged * num_classes), num_classes - num_split)
    hosts, merged = np.split(ranking, [num_classes - num_merged])
    if num_merged and not len(hosts):
        raise UserError(f"all {num_classes} identities are to be merged, and none is left to merge with")
    first_new, host = np.full(num_classes, KEPT), np.full(num_classes, KEPT)
    first_new[ranking[:num_split]] = num_classes + np.arange(num_split) * (noise.parts - 1)
    if num_merged:
        host[merged] = np.sort(hosts)[below(seed, "identities/host", merged, len(hosts))]
    drawn = Identities(seed, noise.parts, first_new, host)
    if num_classes + drawn.num_new > MAX_CLASSES:
        raise UserError(f"splitting identities makes {drawn.num_new} new labels, expected at most {MAX_CLASSES} in all")
    return drawn
