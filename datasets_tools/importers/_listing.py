"""What the formats' files share: what the user says of a source, labels as numbers, and images in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats.layouts import MAX_EXACT
from noisebench.formats.listing import Listing

_MAX_EMPTY = 1 << 20  # identities without an image; each costs a record


@dataclass(frozen=True)
class Options:
    """What the user can say about a source.

    Attributes:
        root: Folder that a list's paths are relative to; None is the list's own.
        image_column: Column of the images, in tables.
        label_column: Column of the labels.
        name_column: Column of the images' names; where it is missing, file and row make a name.
        scratch: Existing folder for temporary files.
    """

    root: Path | None = None
    image_column: str = "image"
    label_column: str = "label"
    name_column: str = "name"
    scratch: Path = Path()


def sorted_listing(
    names: pa.ChunkedArray, labels: NDArray[np.int32], identities: Sequence[str], read: Callable[[int], bytes]
) -> Listing:
    """A listing from names, labels and a function of a place that are all in the order of the source.

    Images of one label keep the order they have there.
    """
    if np.all(labels[1:] >= labels[:-1]):
        return Listing(names, labels, identities, read)
    order = np.argsort(labels, kind="stable")
    return Listing(names.take(pa.array(order)), labels[order], identities, lambda place: read(int(order[place])))


def number_labels(source: Path, labels: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """Labels of one or the other kind as int32 [N], and the identities' names [C].

    Whole numbers stay what they are, so that an identity can have no image. Names are numbered in their byte order,
    which is the same on every machine.

    Raises:
        FileError: A label is neither, is missing, or is out of range.
    """
    if labels.null_count:
        row = pc.index(pc.is_null(labels), True).as_py()
        raise FileError(source, f"image {row} has no label", "give every image a label or leave it out")
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    if pa.types.is_integer(labels.type):
        numbers = np.asarray(labels)
        limit = min(MAX_EXACT, len(numbers) + _MAX_EMPTY)
        wrong = np.flatnonzero((numbers < 0) | (numbers >= limit))
        if wrong.size:
            problem = f"image {wrong[0]} has the label {numbers[wrong[0]]}; expected 0 to {limit - 1}"
            raise FileError(source, problem, "count identities from 0, without large gaps")
        return numbers.astype(np.int32), [str(label) for label in range(int(numbers.max()) + 1)]
    if not (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        raise FileError(source, f"labels are of type {labels.type}", "expected whole numbers or names")
    unique = pc.unique(labels)
    identities = unique.take(pc.sort_indices(unique))
    return np.asarray(pc.index_in(labels, value_set=identities)).astype(np.int32), identities.to_pylist()
