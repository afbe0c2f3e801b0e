"""Closed-set noise: which wrong identity an image is labelled with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.noise.counter import below

TargetRule = Callable[[int, NDArray[np.int64], NDArray[np.int32], int], NDArray[np.int32]]
"""(seed, keys [K], true labels [K], number of classes) -> wrong labels [K]; each from its own row alone."""


def uniform(seed: int, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int) -> NDArray[np.int32]:
    """Any identity but the true one, all with the same odds: int32 [K].

    The label is a function of the key, the true label and the seed, so it is the same at every noise rate.
    """
    target = below(seed, "closed/uniform", keys, num_classes - 1).astype(np.int32)
    target += target >= labels  # the other classes are numbered as if the true one were missing
    return target


TARGET_RULES: dict[str, TargetRule] = {"uniform": uniform}
"""The rules that a recipe's ``closed.targets`` names."""


def flip(
    rule: str, seed: int, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int
) -> NDArray[np.int32]:
    """Wrong labels for these images, int32 [K].

    Args:
        rule: A recipe's ``closed.targets``.
        seed: Noise seed.
        keys: Record keys of the images to mislabel, int64 [K].
        labels: Their true labels, int32 [K].
        num_classes: Number of identities to choose from.

    Raises:
        UserError: There is only one identity, so no label is wrong.
    """
    if num_classes < 2:
        raise UserError("closed-set noise needs another identity to mislabel with, but the data set has only one")
    return TARGET_RULES[rule](seed, keys, labels, num_classes)
