"""Which images become noisy: one ranking of all images by a hash of their keys, with noise at its two ends.

Closed-set noise takes images from the low end and open-set noise from the high end. So the two never meet, and with
one seed the images that are noisy at 20 % are also noisy at 30 %, whatever else a recipe holds.

How far noise reaches into the ranking needs the keys of the whole set (`Thresholds.of`); which images those are is then
a matter of each image alone (`Thresholds.kinds`), so any cut of the set into shards gives the same noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from datasets_tools import identities
from noisebench.errors import UserError
from noisebench.noise.counter import bits
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import CLOSED, OPEN

BLOCK = 1 << 16
"""Images ranked at a time, so that intermediate numbers stay in the processor's cache."""

_COUNTED_AT_ONCE = 1 << 20


def rank(seed: int, keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Each image's place in the ranking, uint64 [N]; different keys have different ones."""
    return bits(seed, "noise", keys)


@dataclass(frozen=True)
class Thresholds:
    """How far closed-set and open-set noise reach into the ranking, for G groups: the whole set, or each class.

    Attributes:
        seed: Noise seed.
        closed: Highest rank of a closed-set image, uint64 [G]; means nothing where ``num_closed`` is 0.
        open: Lowest rank of an open-set image, uint64 [G]; means nothing where ``num_open`` is 0.
        num_closed: Number of closed-set images, int64 [G].
        num_open: Number of open-set images, int64 [G].
    """

    seed: int
    closed: NDArray[np.uint64]
    open: NDArray[np.uint64]
    num_closed: NDArray[np.int64]
    num_open: NDArray[np.int64]

    @classmethod
    def of(
        cls, recipe: NoiseRecipe, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int
    ) -> Thresholds:
        """What a recipe comes to in a data set.

        Args:
            recipe: Its rates, and whether they hold of the set or of each class.
            keys: Record keys of the whole set, int64 [N], each once.
            labels: True labels, int32 [N].
            num_classes: Number of classes.
            seed: Noise seed.

        Raises:
            UserError: See `counts`.
        """
        groups = group_sizes(recipe, labels, num_classes)
        closed, open_ = counts(recipe, groups, seed)
        if not (closed.any() or open_.any()):
            nothing = np.zeros(len(groups), dtype=np.uint64)
            return cls(seed, nothing, nothing, closed, open_)
        if len(groups) > 1 and not is_ascending(labels):
            keys = keys[np.argsort(labels, kind="stable")]
        low, high = _ends(rank(seed, keys), groups, closed, open_)
        return cls(seed, low, high, closed, open_)

    def kinds(self, keys: NDArray[np.int64], labels: NDArray[np.int32]) -> NDArray[np.int8]:
        """The kind of these images, of the whole set or any part of it: int8 [n], codes into ``schema.KINDS``."""
        kind = np.empty(len(keys), dtype=np.int8)
        has_closed, has_open = self.num_closed > 0, self.num_open > 0
        for start in range(0, len(keys), BLOCK):
            rows = slice(start, start + BLOCK)
            ranks = rank(self.seed, keys[rows])
            group = labels[rows] if len(self.closed) > 1 else np.zeros(1, dtype=np.int32)
            is_closed = (ranks <= self.closed[group]) & has_closed[group]
            is_open = (ranks >= self.open[group]) & has_open[group]
            kind[rows] = is_closed * np.int8(CLOSED) + is_open * np.int8(OPEN)
        return kind


def group_sizes(recipe: NoiseRecipe, labels: NDArray[np.int32], num_classes: int) -> NDArray[np.int64]:
    """Number of images in each group that a recipe counts in, int64 [G]: the whole set, or each class."""
    if recipe.chosen_per == "set" and not recipe.identities.any:
        return np.array([len(labels)])
    return images_per_class(labels, num_classes)


def images_per_class(labels: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Number of images of each class, int64 [C], in blocks: NumPy counts in a copy of twice the size."""
    images = np.zeros(num_classes, dtype=np.int64)
    step = max(_COUNTED_AT_ONCE, num_classes)
    for start in range(0, len(labels), step):
        images += np.bincount(labels[start : start + step], minlength=num_classes)
    return images


def is_ascending(numbers: NDArray[np.integer]) -> bool:
    """Whether images lie in the order of their labels or keys, as in almost every set."""
    return bool((numbers[1:] >= numbers[:-1]).all())


def counts(recipe: NoiseRecipe, images: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many images of each group become closed-set and open-set noise, int64 [G] each, exactly.

    Args:
        recipe: With ``chosen_per`` "class", rate x n is rounded down; with "set" it is rounded to the nearest integer,
            and where both kinds together would then exceed n, open-set noise gets what is left; with "longtail" the
            total is that of "set", shared out by `even_shares`. Splits and merges have counts of their own.
        images: Numbers of images n, int64 [G], as `group_sizes` gives them.
        seed: Noise seed; it draws the identities that are split or merged.

    Raises:
        UserError: "longtail" asks for more images than ``at_most`` allows, or no identity is left to merge into.
    """
    if recipe.identities.any:
        return identities.draw(recipe.identities, len(images), seed).num_changed(images), np.zeros_like(images)
    nearest = recipe.chosen_per != "class"
    total = images.sum(keepdims=True) if recipe.chosen_per == "longtail" else images
    closed = _share(recipe.closed.rate, total, nearest=nearest)
    open_ = np.minimum(_share(recipe.open.rate, total, nearest=nearest), total - closed)
    if recipe.chosen_per != "longtail":
        return closed, open_
    limits = _share(recipe.at_most, images, nearest=False)
    closed_shares = even_shares(int(closed[0]), limits)
    return closed_shares, even_shares(int((closed + open_)[0]), limits) - closed_shares


def even_shares(total: int, limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """``total`` images shared out among the classes as evenly as their limits allow, int64 [C].

    Every class gives the same number, or its limit where that is less; of the classes that could give one more, those
    with the lowest limits do, in the order of their labels, until the total is reached. A larger total takes no less
    from any class.

    Args:
        total: Number of images.
        limits: The most that each class can give, int64 [C].

    Raises:
        UserError: All limits together are below the total.
    """
    if total > limits.sum():
        raise UserError(
            f"the recipe asks for {total} noisy images, but its 'at_most' leaves only {limits.sum()}"
            " (raise 'at_most' or choose a lower rate)"
        )
    classes_above = len(limits) - np.cumsum(np.bincount(limits))  # [i]: classes that can give more than i images
    total_at = np.concatenate([[0], np.cumsum(classes_above)])  # [i]: images if every class gives i
    level = int(np.searchsorted(total_at, total, side="right")) - 1
    shares = np.minimum(limits, level)
    able = np.flatnonzero(limits > level)
    shares[able[np.argsort(limits[able], kind="stable")][: total - total_at[level]]] += 1
    return shares


def _ends(
    ranks: NDArray[np.uint64], groups: NDArray[np.int64], closed: NDArray[np.int64], open_: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The ``closed``-th lowest and the ``open_``-th highest of the ranks in each group, uint64 [G], group by group."""
    low, high = np.zeros(len(groups), dtype=np.uint64), np.zeros(len(groups), dtype=np.uint64)
    if len(groups) == 1:
        last_low, first_high = max(int(closed[0]) - 1, 0), min(len(ranks) - int(open_[0]), len(ranks) - 1)
        ranks.partition([last_low, first_high])
        return ranks[[last_low]], ranks[[first_high]]
    starts = np.cumsum(groups) - groups
    by_size = np.argsort(groups, kind="stable")
    sizes, first = np.unique(groups[by_size], return_index=True)
    for size, same in zip(sizes.tolist(), np.split(by_size, first[1:]), strict=True):
        if size:  # all classes of one size at once, a row each
            rows = np.sort(ranks[starts[same][:, None] + np.arange(size)], axis=1)
            row = np.arange(len(same))
            low[same] = rows[row, np.maximum(closed[same] - 1, 0)]
            high[same] = rows[row, np.minimum(size - open_[same], size - 1)]
    return low, high


def _share(rate: Decimal, images: NDArray[np.int64], *, nearest: bool) -> NDArray[np.int64]:
    """Exactly rate x images, int64 [G], rounded down or to the nearest integer; a half is rounded to the even one."""
    sizes, where = np.unique(images, return_inverse=True)  # few classes differ in size
    whole = round if nearest else math.floor
    return np.array([whole(rate * int(size)) for size in sizes], dtype=np.int64)[where]
