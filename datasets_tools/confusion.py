"""Which classes closed-set noise confuses with which: the frequent pairs, without a matrix of classes by classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLOSED


class Spread(NamedTuple):
    """How a share differs from class to class."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, shares: NDArray[np.float64]) -> Spread:
        """The spread of these shares, [C]."""
        return cls(*np.percentile(shares, (0, 50, 100)).tolist())

    def __str__(self) -> str:
        return f"min {self.min:.2%}, median {self.median:.2%}, max {self.max:.2%}"


class Pair(NamedTuple):
    """Images of one class that bear the label of another.

    Attributes:
        true_label: The class they are of.
        label: The class they are given.
        images: How many there are.
    """

    true_label: int
    label: int
    images: int


class Confusion(NamedTuple):
    """How closed-set noise spreads over pairs of classes.

    Attributes:
        num_pairs: Different pairs of true and given label.
        num_classes: True classes with such images.
        most_frequent: The most frequent pairs, descending; of equally frequent ones the lowest labels first.
        favourite: The share of a class's mislabelled images that bear its most frequent wrong label: 1 where a class
            is always confused with the same other one.
    """

    num_pairs: int
    num_classes: int
    most_frequent: tuple[Pair, ...]
    favourite: Spread


def confusion(manifest: Manifest, num_most_frequent: int = 5) -> Confusion | None:
    """Count the pairs of true and given label among a manifest's closed-set images; None if it has none."""
    closed = manifest.kind == CLOSED
    if not closed.any():
        return None
    codes = manifest.true_label[closed] * np.int64(manifest.num_train_classes) + manifest.label[closed]
    pairs, images = np.unique(codes, return_counts=True)
    true_labels, labels = np.divmod(pairs, manifest.num_train_classes)
    begins = np.flatnonzero(np.diff(true_labels, prepend=-1))
    favourites = np.maximum.reduceat(images, begins) / np.add.reduceat(images, begins)
    top = np.argsort(-images, kind="stable")[:num_most_frequent]
    most_frequent = zip(true_labels[top].tolist(), labels[top].tolist(), images[top].tolist(), strict=True)
    return Confusion(len(pairs), len(begins), tuple(Pair(*pair) for pair in most_frequent), Spread.of(favourites))
