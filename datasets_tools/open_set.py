"""Open-set noise: which images are replaced, which outlier's image replaces each, and which label it bears."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from datasets_tools.exclusion import Exclusion
from datasets_tools.selection import images_per_class, is_ascending, rank
from noisebench.errors import UserError
from noisebench.noise.counter import below, bits
from noisebench.noise.manifest import ImageSet
from noisebench.noise.schema import CLEAN, CLOSED, OPEN

LabelRule = Callable[[int, NDArray[np.int64], NDArray[np.int32], int], NDArray[np.int32]]
"""(seed, keys [K], true labels of the replaced images [K], number of classes) -> labels [K]."""

_LEADING_HALF, _LEADING_QUARTER = np.uint64(32), np.uint64(48)
_ROW = np.uint64(0xFFFFFFFF)
_BLOCK = 1 << 16  # keys hashed at a time, so that they stay in the processor's cache


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
    if not is_ascending(labels):
        order = np.argsort(labels, kind="stable")
        moved = np.empty_like(kind)
        moved[order] = moved_to_tail(kind[order], labels[order])
        return moved
    num_classes = int(labels[-1]) + 1
    listed, is_open = kind != CLOSED, kind == OPEN
    place = np.cumsum(listed, dtype=np.int32)  # counted from 1 through all lists
    last = np.cumsum(images_per_class(labels, num_classes)) - 1  # rows; mean nothing for a class without images
    stays = place[last] - images_per_class(labels[is_open], num_classes)  # the last place that is not replaced
    moved = np.where(is_open, np.int8(CLEAN), kind)
    moved[listed & (place > stays.astype(np.int32)[labels])] = OPEN
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

    Just what sorting the hashes gives, several times as fast. A hash's leading half and the row are sorted as one
    number: NumPy's radix sort of the leading 16 bits leaves next to nothing for its merge sort. The few that agree in
    the leading half are hashed again and compared in full.

    Args:
        hash_of: Different hashes for different keys.
        keys: Record keys, int64 [N], each once, N below 2^32.
        count: From 1 to N.
    """
    numbers, leading = np.empty(len(keys), dtype=np.uint64), np.empty(len(keys), dtype=np.uint16)
    for start in range(0, len(keys), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(keys)))
        hashes = hash_of(keys[rows])
        leading[rows] = hashes >> _LEADING_QUARTER
        numbers[rows] = hashes & ~_ROW | np.arange(rows.start, rows.stop, dtype=np.uint64)
    if count < len(keys):
        enough = np.searchsorted(np.cumsum(images_per_class(leading, 1 << 16)), count)
        needed = np.flatnonzero(leading <= enough)
        numbers, leading = numbers[needed], leading[needed]
    numbers = numbers[np.argsort(leading, kind="stable")]
    numbers.sort(kind="stable")
    first = (numbers & _ROW).astype(np.int64)
    numbers >>= _LEADING_HALF
    agree = np.flatnonzero(numbers[1:] == numbers[:-1])
    if len(agree):
        places = np.union1d(agree, agree + 1)
        first[places] = first[places][np.argsort(hash_of(keys[first[places]]))]
    return first[:count]


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
