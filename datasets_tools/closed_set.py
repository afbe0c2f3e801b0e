"""Closed-set noise: which wrong identity an image is labelled with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets_tools.selection import images_per_class, is_ascending
from noisebench.errors import UserError
from noisebench.noise.counter import below, shuffled

_ATTEMPTS = 4
"""Exchanges with images drawn by a hash, before a fixed rule settles what is left; each leaves about 2 in C."""


@dataclass(frozen=True)
class Flips:
    """The images to mislabel, and what their wrong labels are drawn from.

    Args:
        seed: Noise seed.
        keys: Record keys, int64 [K].
        labels: True labels, int32 [K].
        num_classes: Number of identities C to choose from.
        neighbours: The k identities most similar to each, int32 [C, k], nearest first; only hard flips need them.
    """

    seed: int
    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_classes: int
    neighbours: NDArray[np.int32] | None = None


TargetRule = Callable[[Flips], NDArray[np.int32]]
"""The wrong labels of these images, int32 [K]."""


def uniform(flips: Flips) -> NDArray[np.int32]:
    """Any identity but the true one, all with the same odds.

    The label is a function of the key, the true label and the seed, so it is the same at every noise rate.
    """
    target = below(flips.seed, "closed/uniform", flips.keys, flips.num_classes - 1).astype(np.int32)
    target += target >= flips.labels  # the other classes are numbered as if the true one were missing
    return target


def successor(flips: Flips) -> NDArray[np.int32]:
    """The next identity, and the first one after the last: the rule of RobustFace's released code.

    The label is a function of the true label alone.
    """
    return (flips.labels + 1) % np.int32(flips.num_classes)


def permutation(flips: Flips) -> NDArray[np.int32]:
    """The label of another of these images: each label is given as often as it was taken away, as NoiseFace does.

    The images in the order of their keys get the labels in a random order; an image that would get its own label
    exchanges it with another image. A function of the seed and of all the keys and labels together: a higher rate
    mislabels the same images and more, but gives new labels to all of them, and a shard cannot be permuted by itself.

    Raises:
        UserError: One identity has more than half of the images, so that they cannot all get another label.
    """
    if not is_ascending(flips.keys):
        order = np.argsort(flips.keys, kind="stable")
        target = np.empty_like(flips.labels)
        target[order] = permutation(replace(flips, keys=flips.keys[order], labels=flips.labels[order]))
        return target
    own = flips.labels
    images = images_per_class(own, flips.num_classes)
    if 2 * images.max() > len(own):
        raise UserError(
            f"the labels of {len(own)} images cannot be permuted: {images.max()} of them are of identity"
            f" {images.argmax()}, more than half (choose a higher rate or other targets)"
        )
    given = own[shuffled(flips.seed, "closed/permutation", len(own))]
    for attempt in range(_ATTEMPTS):
        hits = np.flatnonzero(own == given)
        others = below(flips.seed, f"closed/permutation/{attempt}", flips.keys[hits], len(own))
        _exchange(hits, others, own, given)
    _exchange_with_the_first(own, given)
    return given


def hard(flips: Flips) -> NDArray[np.int32]:
    """One of the identities most similar to the true one, all of these with the same odds.

    The label is a function of the key, the true label, the seed and the neighbours, so it is the same at every rate.

    Raises:
        UserError: Nobody has said who is similar to whom.
    """
    if flips.neighbours is None:
        raise UserError(
            "hard flips follow a file of class centres: name it to 'noisebench data noise' with --centres"
            " (a bench then takes the manifest: --noise FILE.parquet)"
        )
    return flips.neighbours[flips.labels, below(flips.seed, "closed/hard", flips.keys, flips.neighbours.shape[1])]


TARGET_RULES: dict[str, TargetRule] = {
    "uniform": uniform,
    "successor": successor,
    "permutation": permutation,
    "hard": hard,
}
"""The rules that a recipe's ``closed.targets`` names."""


def flip(rule: str, flips: Flips) -> NDArray[np.int32]:
    """Wrong labels for these images, int32 [K], by the rule that a recipe's ``closed.targets`` names.

    Raises:
        UserError: There is only one identity, so no label is wrong; or the rule cannot be followed with these images.
    """
    if flips.num_classes < 2:
        raise UserError("closed-set noise needs another identity to mislabel with, but the data set has only one")
    return TARGET_RULES[rule](flips)


def _exchange(
    hits: NDArray[np.int64], others: NDArray[np.int64], own: NDArray[np.int32], given: NDArray[np.int32]
) -> None:
    """Let images that are given their own label exchange it with these others [H], where both then have another's."""
    others, first = np.unique(others, return_index=True)
    hits = hits[first]
    fit = (own[others] != own[hits]) & (given[others] != own[hits]) & (own[others] != given[others])
    hits, others = hits[fit], others[fit]
    given[hits], given[others] = given[others], given[hits]


def _exchange_with_the_first(own: NDArray[np.int32], given: NDArray[np.int32]) -> None:
    """Let the images that are still given their own label [K] exchange it, with each other as far as that helps.

    Possible where no identity has more than half of the images.
    """
    hits = np.flatnonzero(own == given)
    by_class = np.bincount(own[hits], minlength=1)
    most, commonest = int(by_class.max()), by_class.argmax()
    if 2 * most > len(hits):  # too many of one identity to help each other: images that have no part in it join in
        others = np.flatnonzero((own != commonest) & (given != commonest))
        others = others[np.argsort(own[others] != given[others], kind="stable")[:most]]  # the other hits first
        hits = hits[own[hits] == commonest]
        given[hits], given[others] = given[others], given[hits]
    else:
        ordered = hits[np.argsort(own[hits], kind="stable")]
        given[ordered] = np.roll(own[ordered], most)  # no class is longer than the step, or than the way back
