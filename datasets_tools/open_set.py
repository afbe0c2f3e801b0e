"""Open-set noise: which images are replaced, which outlier's image replaces each, and which label it bears."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from datasets_tools.exclusion import Exclusion
from datasets_tools.selection import rank
from noisebench.errors import UserError
from noisebench.noise.counter import below, bits
from noisebench.noise.manifest import ImageSet
from noisebench.noise.schema import CLEAN, CLOSED, OPEN

LabelRule = Callable[[int, NDArray[np.int64], NDArray[np.int32], int], NDArray[np.int32]]
"""(seed, keys [K], true labels of the replaced images [K], number of classes) -> labels [K]."""

_HALF, _QUARTER = np.uint64(32), np.uint32(16)
_BLOCK = 1 << 18  # keys hashed at a time, so that they stay in the processor's cache


def kept(seed: int, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int) -> NDArray[np.int32]:
    """The label of the image that is replaced: int32 [K]."""
    return labels


def random(seed: int, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int) -> NDArray[np.int32]:
    """Any identity's label with the same odds, that of the image that is replaced among them: int32 [K].

    A function of the key and the seed. Source: BoundaryFace's list scripts (ECCV 2022).
    """
    return below(seed, "open/random", keys, num_classes).astype(np.int32)


LABEL_RULES: dict[str, LabelRule] = {"kept": kept, "random": random}
"""The rules that a recipe's ``open.labels`` names; "flipped" is the closed-set rule's, so it is not among them."""


def moved_to_tail(kind: NDArray[np.int8], labels: NDArray[np.int32]) -> NDArray[np.int8]:
    """Kinds, int8 [N], with the open-set images of each class moved to its end.

    A class is read as BoundaryFace's lists have it, its mislabelled images first and then all others, here in record
    order. As many as were open-set noise anywhere in it are so at the end of that list; closed-set noise stays.

    Args:
        kind: Codes into ``KINDS``, int8 [N], in record order.
        labels: True labels, int32 [N].
    """
    others = np.flatnonzero(kind != CLOSED)
    others = others[np.argsort(labels[others], kind="stable")]  # class after class, each in record order
    sizes = np.bincount(labels[others])
    num_open = np.bincount(labels[kind == OPEN], minlength=len(sizes))
    from_the_end = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(others))  # 1 for the last of its class
    moved = np.where(kind == OPEN, np.int8(CLEAN), kind)
    moved[others[from_the_end <= np.repeat(num_open, sizes)]] = OPEN
    return moved


def replacements(
    keys: NDArray[np.int64],
    outliers: ImageSet,
    seed: int,
    *,
    reuse: bool = False,
    exclusion: Exclusion | None = None,
) -> NDArray[np.int64]:
    """The row in the outlier set of the image that replaces each of these images, int64 [K].

    The image highest in the ranking gets the outlier first in the order of the outliers' hashes, and so on down. So
    a higher rate, chosen over the whole set, adds replacements and changes none. When all outliers have been used, they
    are used again in the order of other hashes, as often as it takes: the numbers of uses differ by one at most.

    Args:
        keys: Record keys of the images to replace, int64 [K], at least one.
        outliers: The outlier set.
        seed: Noise seed.
        reuse: Whether outliers may be used more than once.
        exclusion: Identities of the outlier set that may not be used.

    Raises:
        UserError: There are fewer outliers than images to replace, and they may not be used again.
        FileError: The exclusion names an identity that the outlier set does not have.

    Warns:
        UserWarning: Outliers are used more than once; it says how often.
    """
    usable = exclusion.usable(outliers) if exclusion is not None else None
    outlier_keys = outliers.keys if usable is None else outliers.keys[usable]
    num_usable = len(outlier_keys)
    _check_enough(len(keys), num_usable, outliers, reuse=reuse)
    images = in_hash_order(partial(rank, seed), keys, len(keys))[::-1]
    rows = np.empty(len(keys), dtype=np.int64)
    for round_, start in enumerate(range(0, len(keys), num_usable)):
        chosen = images[start : start + num_usable]
        stream = f"outliers/{round_}" if round_ else "outliers"
        used = in_hash_order(partial(bits, seed, stream), outlier_keys, len(chosen))
        rows[chosen] = used if usable is None else usable[used]
    return rows


def in_hash_order(
    hash_of: Callable[[NDArray[np.int64]], NDArray[np.uint64]], keys: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Rows of the ``count`` keys with the lowest hashes, lowest first: int64 [count].

    Just what sorting the hashes gives, in half the time and a third of the memory: two passes of NumPy's radix sort on
    their leading 32 bits, and the few that agree in those are hashed again and compared in full.

    Args:
        hash_of: Different hashes for different keys.
        keys: Record keys, int64 [N], each once.
        count: From 1 to N.
    """
    leading = np.empty(len(keys), dtype=np.uint32)
    for start in range(0, len(keys), _BLOCK):
        leading[start : start + _BLOCK] = hash_of(keys[start : start + _BLOCK]) >> _HALF
    rows = np.flatnonzero(leading <= np.partition(leading, count - 1)[count - 1])
    leading = leading[rows]
    order = np.argsort(leading.astype(np.uint16), kind="stable")
    order = order[np.argsort((leading >> _QUARTER).astype(np.uint16)[order], kind="stable")]
    leading, rows = leading[order], rows[order]
    agree = np.flatnonzero(leading[1:] == leading[:-1])
    if len(agree):
        places = np.union1d(agree, agree + 1)
        rows[places] = rows[places][np.argsort(hash_of(keys[rows[places]]))]
    return rows[:count]


def _check_enough(num_images: int, num_usable: int, outliers: ImageSet, *, reuse: bool) -> None:
    if num_usable == 0:
        raise UserError(f"{outliers.folder}: every identity is excluded, no outlier image is left")
    if num_images > num_usable and not reuse:
        raise UserError(
            f"{outliers.folder}: {num_usable} outlier images, but the recipe replaces {num_images}"
            " (give a larger outlier set, choose a lower rate, or set 'open.reuse: true' to use outliers again)"
        )
    if num_images > num_usable:
        times, more = divmod(num_images, num_usable)
        often = f"{times} or {times + 1}" if more else f"{times}"
        warnings.warn(
            f"{outliers.folder}: {num_images} images are replaced by {num_usable} outliers, each used {often} times",
            stacklevel=3,
        )
