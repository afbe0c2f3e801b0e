"""Checking header, identity ranges, index and ``property`` of a face set against each other, fault by fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets_tools.checking.faults import Fault, named, runs
from noisebench.errors import FileError
from noisebench.formats.layouts import MAX_EXACT, Layout, Property, whole_numbers
from noisebench.formats.recordio import RecordReader

IMAGE = -1
"""Expected of a record: an image, of any identity."""
ANYTHING = -2
"""Expected of a record: an image or none."""

_UNREADABLE = (-1, -1)


class Expected(NamedTuple):
    """What a set's layout says of its records.

    Attributes:
        layout: Which one it has.
        labels: int32 [M], the identity of image 1, 2, ..., M of the InsightFace layout, or ``IMAGE``.
    """

    layout: Layout
    labels: NDArray[np.int32]

    def of(self, keys: NDArray[np.int64]) -> NDArray[np.int32]:
        """The identity each record must show, [N], or ``IMAGE`` or ``ANYTHING``."""
        if self.layout == "im2rec":
            return np.full(len(keys), IMAGE, dtype=np.int32)
        is_image = (keys > 0) & (keys <= len(self.labels))
        places = np.where(is_image, keys - 1, 0)
        return np.where(is_image, np.append(self.labels, ANYTHING)[places], np.int32(ANYTHING))


def check_layout(records: RecordReader, declared: Property | None) -> tuple[Expected, list[Fault]]:
    """Which layout a set has, what it expects of every record, and what contradicts it.

    Records that cannot be read are no faults here: whoever reads all records finds them.
    """
    layout = _guess_layout(records)
    expected = Expected(layout, np.empty(0, dtype=np.int32))
    if layout == "im2rec" or len(records.index) > MAX_EXACT:  # beyond that only the images' own labels are exact
        return expected, []
    end_of_images, end = _numbers(records, 0)
    if (end_of_images, end) == _UNREADABLE and not _is_readable(records, 0):
        return expected, []
    if not 1 < end_of_images < end:
        problem = f"the header's counts are {end_of_images} and {end}; expected 1 < images + 1 < all records"
        return expected, [Fault(records.rec.name, _byte(records, 0), 0, "layout", problem)]
    faults = [*_index_faults(records, end)]
    if declared is not None and end - end_of_images > declared.num_classes:
        problem = f"says {declared.num_classes} classes, but the header counts {end - end_of_images} identities"
        faults.append(Fault("property", 0, None, "layout", problem))
    labels, range_faults = _check_ranges(records, end_of_images, end)
    return Expected(layout, labels), faults + range_faults


def _guess_layout(records: RecordReader) -> Layout:
    """The layout, by record 0; if that cannot be read by the last one, which is an identity's if there are any."""
    if 0 not in records.index:
        return "im2rec"
    for key in (0, int(records.keys.max())):
        if _is_readable(records, key):
            header, image = records.read_image(key)
            return "insightface" if header.flag > 0 and len(image) == 0 else "im2rec"
    return "im2rec"


def _index_faults(records: RecordReader, end: int) -> Iterator[Fault]:
    """Keys that the header counts and the index lacks, and the other way round."""
    counted, index = np.arange(end, dtype=np.int64), records.index.path.name
    for first, last in runs(np.setdiff1d(counted, records.keys).tolist()):
        problem = f"{named(first, last)} not listed, but counted by the header"
        yield Fault(index, None, first, "index", problem)
    for first, last in runs(np.setdiff1d(records.keys, counted).tolist()):
        problem = f"{named(first, last)} listed, but not counted by the header"
        yield Fault(index, None, first, "index", problem)


def _check_ranges(records: RecordReader, end_of_images: int, end: int) -> tuple[NDArray[np.int32], list[Fault]]:
    """The identity of every image, ``IMAGE`` where its identity's range cannot be trusted; and the ranges' faults."""
    labels = np.full(end_of_images - 1, IMAGE, dtype=np.int32)
    faults: list[Fault] = []
    begins: int | None = 1  # where the next range must begin, None after one that cannot be read
    for identity, key in enumerate(range(end_of_images, end)):
        if not _is_readable(records, key):
            begins = None
            continue
        first, last = _numbers(records, key)
        fits = 1 <= first <= last <= end_of_images and begins in (None, first)
        if key == end - 1:
            fits &= last == end_of_images
        if fits:
            labels[first - 1 : last - 1] = identity
            begins = last
        else:
            place = "after the one before" if begins is None else f"at {begins}"
            problem = f"identity {identity} has the range {first} to {last}; expected one that begins {place}"
            problem += f" and ends at {end_of_images}" if key == end - 1 else ""
            faults.append(Fault(records.rec.name, _byte(records, key), key, "layout", problem))
            begins = None
    return labels, faults


def _is_readable(records: RecordReader, key: int) -> bool:
    try:
        records.read_image(key)
    except FileError:
        return False
    return True


def _numbers(records: RecordReader, key: int) -> tuple[int, int]:
    """The first two labels of a record as whole numbers, -1 for what is none."""
    try:
        header, _ = records.read_image(key)
    except FileError:
        return _UNREADABLE
    labels = np.append(np.ravel(header.label), (np.nan, np.nan))[:2].astype(np.float32)
    first, second = whole_numbers(labels).tolist()
    return first, second


def _byte(records: RecordReader, key: int) -> int:
    return records.index.offset(key)
