"""Which records of a face set are images, and of which identity: the two layouts in use.

InsightFace: record 0 has no image and two labels, [images + 1, images + 1 + identities]. Records 1..images are the
images in order of identity; each identity's record after them has the labels [first image, last image + 1].

im2rec: every record is an image that carries its own label, a number or the first of several; keys are arbitrary.

Labels are float32, and in the InsightFace layout they count records: so it ends at 2^24 of them. Larger sets, such as
WebFace42M, are in the im2rec layout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError, UserError
from noisebench.formats.jpeg import MAX_SIDE
from noisebench.formats.recordio import RecordLabels, RecordReader

Layout = Literal["insightface", "im2rec"]

MAX_EXACT = 1 << 24
"""So far float32, the type of labels, counts exactly."""

_REPACK = "the data set is damaged: copy it again or pack it again"


class Property(NamedTuple):
    """The file ``property``: one line ``num_classes,height,width``."""

    num_classes: int
    image_size: tuple[int, int]


class Faces(NamedTuple):
    """What a layout says of a face set.

    Attributes:
        layout: Which layout it is.
        keys: int64 [N], the records that are images.
        labels: int32 [N], their identities, counted from 0.
        num_identities: The labels are below this.
    """

    layout: Layout
    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_identities: int


def layout_for(num_images: int, num_identities: int) -> Layout:
    """The layout to write a set of this size in: InsightFace's as long as its labels can count the records.

    Raises:
        UserError: There are more identities than labels.
    """
    if num_identities > MAX_EXACT:
        raise UserError(
            f"{num_identities} identities: labels in RecordIO are float32, which counts only to {MAX_EXACT}"
        )
    return "insightface" if num_images + num_identities + 1 <= MAX_EXACT else "im2rec"


def read_property(path: Path) -> Property | None:
    """Read the file ``property``; None if there is no such file.

    Raises:
        FileError: It is not ``num_classes,height,width``.
    """
    if not path.exists():
        return None
    with path.open("rb") as stream:
        text = stream.read(100)
    try:
        num_classes, height, width = (int(number) for number in text.split(b","))
    except ValueError as error:
        raise FileError(path, f"expected 'num_classes,height,width', found {text!r}") from error
    if not (0 < num_classes <= MAX_EXACT and 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        limits = f"up to {MAX_EXACT} classes and sides up to {MAX_SIDE}"
        raise FileError(path, f"expected 'num_classes,height,width', {limits}, found {text!r}")
    return Property(num_classes, (height, width))


def read_layout(records: RecordReader, num_classes: int | None) -> Faces:
    """Tell which layout a face set has, and read the label of every image.

    Args:
        records: The records of the set.
        num_classes: How many identities ``property`` declares; None if it does not.

    Raises:
        FileError: Header, identity ranges or labels contradict each other, the index or ``num_classes``.
    """
    if not _has_insightface_header(records):
        return _own_labels("im2rec", records, records.keys, num_classes)
    if len(records.index) > MAX_EXACT:  # beyond this the ranges are rounded, while labels are still exact
        keys = np.sort(records.keys)
        return _own_labels("insightface", records, keys[records.read_labels(keys).has_image], num_classes)
    return _insightface(records, num_classes)


def whole_numbers(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The values as integers, with -1 for what is not a whole number from 0 to ``MAX_EXACT``; same shape."""
    fine = (values >= 0) & (values <= MAX_EXACT) & (values == np.floor(values))
    return np.where(fine, np.where(fine, values, 0).astype(np.int64), -1)


def _has_insightface_header(records: RecordReader) -> bool:
    if 0 not in records.index:
        return False
    header = records.read_labels(np.zeros(1, dtype=np.int64))
    return bool(header.flag[0] > 0 and not header.has_image[0])


def _insightface(records: RecordReader, num_classes: int | None) -> Faces:
    """The InsightFace layout; of the images themselves no record is touched."""
    end_of_images, end = _read_header(records)
    keys = np.arange(1, end_of_images, dtype=np.int64)
    records.index.offsets_of(keys)  # raises if the index lacks one
    identities = np.arange(end_of_images, end, dtype=np.int64)
    if num_classes is not None and len(identities) > num_classes:
        problem = f"label {num_classes} is outside the declared range: property says {num_classes} classes"
        raise records.fault(int(identities[num_classes]), problem, "correct the first number in property")
    firsts, ends = _read_ranges(records, identities, end_of_images)
    labels = np.repeat(np.arange(len(identities), dtype=np.int32), ends - firsts)
    return Faces("insightface", keys, labels, len(identities))


def _read_header(records: RecordReader) -> tuple[int, int]:
    """The two labels of record 0, checked against the index."""
    header = records.read_labels(np.zeros(1, dtype=np.int64))
    end_of_images, end = (int(value) for value in whole_numbers(header.label)[0])
    if not 1 < end_of_images < end:
        found = header.label[0].tolist()
        raise records.fault(0, f"expected the header [images + 1, images + 1 + identities], found {found}", _REPACK)
    if end > len(records.index):
        problem = f"the header promises {end} records, the index lists {len(records.index)}"
        raise records.fault(0, problem, "use the .idx and .rec that were written together")
    return end_of_images, end


def _read_ranges(
    records: RecordReader, identities: NDArray[np.int64], end_of_images: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First image and last image + 1 of each identity, checked to follow each other and to cover all images."""
    firsts, ends = whole_numbers(records.read_labels(identities).label).T
    expected = np.append(1, ends[:-1])
    wrong = (firsts != expected) | (ends < firsts)
    wrong[-1] |= ends[-1] != end_of_images
    if np.any(wrong):
        at = int(np.argmax(wrong))
        found = records.read_labels(identities[at : at + 1]).label[0].tolist()
        problem = (
            f"identity {at} has the range {found}; expected one that begins at {expected[at]}, after the one before"
        )
        if at == len(wrong) - 1:
            problem += f", and ends at {end_of_images}, after the last image"
        raise records.fault(int(identities[at]), problem, _REPACK)
    return firsts, ends


def _own_labels(layout: Layout, records: RecordReader, keys: NDArray[np.int64], num_classes: int | None) -> Faces:
    """Every image with the label in its own record."""
    found = records.read_labels(keys)
    empty = np.flatnonzero(~found.has_image)
    if empty.size:
        raise records.fault(int(keys[empty[0]]), "holds no image", _REPACK)
    labels = check_range(records, keys, found, num_classes)
    return Faces(layout, keys, labels, int(labels.max()) + 1)


def check_range(
    records: RecordReader, keys: NDArray[np.int64], found: RecordLabels, num_classes: int | None
) -> NDArray[np.int32]:
    """The records' own labels, int32 [N], checked to be whole numbers below ``num_classes``.

    Raises:
        FileError: A label is not, which names its record.
    """
    labels = whole_numbers(found.label[:, 0])
    limit = MAX_EXACT if num_classes is None else num_classes
    wrong = np.flatnonzero((labels < 0) | (labels >= limit))
    if wrong.size:
        value, key = found.label[wrong[0], 0], int(keys[wrong[0]])
        problem = f"label {value:g} is outside the declared range, whole numbers from 0 to {limit - 1}"
        raise records.fault(key, problem, "correct the first number in property, or pack the data set again")
    return labels.astype(np.int32)
