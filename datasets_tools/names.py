"""The names file of an imported set: what each image and its identity was called in its source.

``names.parquet`` has a row for each image, in record order: ``key`` (int64), ``label`` (int32), ``identity``
and ``name`` (strings). So lists that name images or identities can be joined with the set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.formats.layouts import MAX_EXACT
from noisebench.formats.listing import Listing

NAMES_FILE = "names.parquet"

_SCHEMA = pa.schema(
    [
        ("key", pa.int64()),
        ("label", pa.int32()),
        ("identity", pa.dictionary(pa.int32(), pa.large_string())),
        ("name", pa.large_string()),
    ]
)
_AT_ONCE = 1 << 16
_REMEDY = "expected the names file that 'noisebench data import' writes"


@dataclass(frozen=True, eq=False)
class Names:
    """What the images of a set and their identities were called.

    Attributes:
        keys: int64 [N], in record order.
        labels: int32 [N].
        names: Strings [N], the images' names.
        identities: Strings [N], the identities' names.
    """

    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    names: pa.ChunkedArray
    identities: pa.ChunkedArray

    @classmethod
    def read(cls, path: Path) -> Names:
        """Read a names file.

        Raises:
            FileError: It is missing, damaged or another kind of file.
        """
        try:
            table = pq.read_table(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise FileError(path, f"cannot be read: {' '.join(str(error).split())[:200]}", _REMEDY) from error
        try:
            columns = table.select(_SCHEMA.names).cast(_SCHEMA.set(2, pa.field("identity", pa.large_string())))
            columns.validate(full=True)  # the library trusts that texts are UTF-8
        except (KeyError, ValueError, pa.ArrowException) as error:
            raise FileError(path, f"not with columns {', '.join(_SCHEMA.names)}", _REMEDY) from error
        if any(column.null_count for column in columns.columns) or not len(columns):
            raise FileError(path, "empty, or with values missing", _REMEDY)
        labels = np.asarray(columns["label"])
        if labels.min() < 0 or labels.max() >= MAX_EXACT:
            raise FileError(
                path, f"labels from {labels.min()} to {labels.max()}, expected 0 to {MAX_EXACT - 1}", _REMEDY
            )
        return cls(np.asarray(columns["key"]), labels, columns["name"], columns["identity"])


def write_names(path: Path, listing: Listing, left_out: Sequence[int], first_key: int) -> None:
    """Write the names file of a set whose keys count up.

    Args:
        path: The file.
        listing: The source of its images.
        left_out: Places of the images that have no record.
        first_key: Key of the first that has.
    """
    kept = np.ones(len(listing.labels), dtype=np.bool_)
    kept[list(left_out)] = False
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
        for batch in _batches(listing, kept, first_key):
            writer.write_batch(batch)


def _batches(listing: Listing, kept: NDArray[np.bool_], key: int) -> Iterator[pa.RecordBatch]:
    identities = pa.array(listing.identities, type=pa.large_string())
    for first in range(0, len(kept), _AT_ONCE):
        places = first + np.flatnonzero(kept[first : first + _AT_ONCE])
        keys = np.arange(key, key := key + len(places))
        labels = pa.array(listing.labels[places])
        of_images = listing.names.slice(first, _AT_ONCE).take(pa.array(places - first)).combine_chunks()
        of_identities = pa.DictionaryArray.from_arrays(labels, identities)
        yield pa.record_batch([pa.array(keys), labels, of_identities, of_images], schema=_SCHEMA)
