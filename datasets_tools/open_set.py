"""Open-set noise: which outlier's image replaces an image, and which label it bears."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.noise.counter import bits
from noisebench.noise.manifest import ImageSet

LabelRule = Callable[[int, NDArray[np.int64], NDArray[np.int32], int], NDArray[np.int32]]
"""(seed, keys [K], true labels of the replaced images [K], number of classes) -> labels [K]."""


def kept(seed: int, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int) -> NDArray[np.int32]:
    """The label of the image that is replaced: int32 [K]."""
    return labels


LABEL_RULES: dict[str, LabelRule] = {"kept": kept}
"""The rules that a recipe's ``open.labels`` names."""


def replacements(ranks: NDArray[np.uint64], outliers: ImageSet, seed: int) -> NDArray[np.int64]:
    """The row in the outlier set of the image that replaces each of these images, int64 [K]; each is used once.

    The image highest in the ranking gets the outlier first in the order of the outliers' hashes, and so on down. So
    a higher rate, chosen over the whole set, adds replacements and changes none.

    Args:
        ranks: The places of the images to replace in the ranking, uint64 [K], at least one.
        outliers: The outlier set, of M images.
        seed: Noise seed.

    Raises:
        UserError: The outlier set has fewer images than are to be replaced.
    """
    num_images, num_outliers = len(ranks), len(outliers.keys)
    if num_images > num_outliers:
        raise UserError(
            f"{outliers.folder}: {num_outliers} outlier images, but the recipe replaces {num_images}"
            " (give a larger outlier set or choose a lower rate)"
        )
    order = bits(seed, "outliers", outliers.keys)
    used = np.flatnonzero(order <= np.partition(order, num_images - 1)[num_images - 1])
    rows = np.empty(num_images, dtype=np.int64)
    rows[np.argsort(~ranks)] = used[np.argsort(order[used])]
    return rows
