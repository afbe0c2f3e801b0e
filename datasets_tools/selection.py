"""Which images become noisy: one ranking of all images by a hash of their keys, with noise at its two ends.

Closed-set noise takes images from the low end and open-set noise from the high end. So the two never meet, and with
one seed the images that are noisy at 20 % are also noisy at 30 %, whatever else a recipe holds.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from noisebench.noise.counter import bits
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import CLEAN, CLOSED, OPEN


def rank(seed: int, keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Each image's place in the ranking, uint64 [N]; different keys have different ones."""
    return bits(seed, "noise", keys)


def counts(recipe: NoiseRecipe, images: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many images a recipe asks to make closed-set and open-set noise, int64 [G] each, exactly.

    Args:
        recipe: With ``chosen_per`` "class", rate x n is rounded down; with "set" it is rounded to the nearest integer,
            and where both kinds together would then exceed n, open-set noise gets what is left.
        images: Numbers of images n, int64 [G]: of each class, or [1]: of the whole set.
    """
    nearest = recipe.chosen_per == "set"
    closed = _share(recipe.closed.rate, images, nearest=nearest)
    return closed, np.minimum(_share(recipe.open.rate, images, nearest=nearest), images - closed)


def choose(
    recipe: NoiseRecipe, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int
) -> NDArray[np.int8]:
    """The kind of every image, int8 [N]: codes into ``noisebench.noise.manifest.KINDS``.

    Args:
        recipe: Its rates, and whether they hold of the set or of each class.
        keys: Record keys, int64 [N], each once.
        labels: True labels, int32 [N].
        num_classes: Number of classes.
        seed: Noise seed.
    """
    ranks = rank(seed, keys)
    if recipe.chosen_per == "set":
        closed, open_ = _over_the_set(recipe, ranks)
    else:
        closed, open_ = _in_each_class(recipe, ranks, labels, num_classes)
    kind = np.full(len(keys), CLEAN, dtype=np.int8)
    kind[closed] = CLOSED
    kind[open_] = OPEN
    return kind


def _over_the_set(recipe: NoiseRecipe, ranks: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the closed-set and of the open-set images: the ends of the whole ranking."""
    closed, open_ = (int(count[0]) for count in counts(recipe, np.array([len(ranks)])))
    return _lowest(ranks, closed), _lowest(~ranks, open_)


def _lowest(ranks: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    if count == 0:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(ranks <= np.partition(ranks, count - 1)[count - 1])  # exact: no two ranks are equal


def _in_each_class(
    recipe: NoiseRecipe, ranks: NDArray[np.uint64], labels: NDArray[np.int32], num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the closed-set and of the open-set images: the ends of each class's part of the ranking."""
    images = np.bincount(labels, minlength=num_classes)
    closed, open_ = counts(recipe, images)
    order = np.lexsort((ranks, labels))  # class after class, each in the order of the ranking
    place = np.arange(len(ranks)) - np.repeat(np.cumsum(images) - images, images)
    return order[place < np.repeat(closed, images)], order[place >= np.repeat(images - open_, images)]


def _share(rate: Decimal, images: NDArray[np.int64], *, nearest: bool) -> NDArray[np.int64]:
    """Exactly rate x images, int64 [G], rounded down or to the nearest integer; a half is rounded to the even one."""
    sizes, where = np.unique(images, return_inverse=True)  # few classes differ in size
    whole = round if nearest else math.floor
    return np.array([whole(rate * int(size)) for size in sizes], dtype=np.int64)[where]
