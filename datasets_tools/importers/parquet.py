"""Parquet tables with the images' bytes in one column and labels in another, as Hugging Face's data sets have them.

The image column holds bytes, or structs with a field ``bytes``. Tables are read from begin to end, as Parquet wants it:
if the labels do not ascend, the images are first copied to a temporary file.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from datasets_tools.importers._listing import Options, number_labels, sorted_listing
from noisebench.errors import FileError, did_you_mean
from noisebench.formats.image_files import check_num_bytes
from noisebench.formats.jpeg import ImageError
from noisebench.formats.listing import Listing

_ROWS_AT_ONCE = 256


def recognises(source: Path) -> bool:
    """Whether it is a file that ends in ``.parquet``."""
    return source.suffix == ".parquet"


def list_images(sources: Sequence[Path], options: Options) -> Listing:
    """Find the images of tables. An image's name is in the name column, else it is ``file/row``.

    Raises:
        FileError: A table is damaged, lacks a column, or a column has the wrong type.
    """
    tables = [_Table(source, options) for source in sources]
    columns = [table.column(options.label_column) for table in tables]
    labels = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    if not len(labels):
        raise FileError(sources[0], "has no rows", "expected a row an image")
    numbers, identities = number_labels(sources[0], labels)
    parts = [table.names(len(column)) for table, column in zip(tables, columns, strict=True)]
    names = pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=pa.large_string())
    images = _InOrder(tables)
    if np.all(numbers[1:] >= numbers[:-1]):
        return Listing(names, numbers, identities, images.read)
    return sorted_listing(names, numbers, identities, _Spool(images, len(numbers), options.scratch).read)


class _Table:
    """One Parquet file, its columns checked."""

    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        self._options = options
        with self._explained():
            self.file = pq.ParquetFile(path)
        for name in (options.image_column, options.label_column):
            if name not in self.file.schema_arrow.names:
                hint = did_you_mean(name, self.file.schema_arrow.names)
                raise FileError(path, f"has no column '{name}'", f"{hint} --image-column and --label-column tell them")
        kind = self.file.schema_arrow.field(options.image_column).type
        self._is_struct = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if not _is_bytes(kind.field("bytes").type if self._is_struct else kind):
            problem = f"column '{options.image_column}' is of type {kind}"
            raise FileError(path, problem, "expected binary, or structs with a binary field 'bytes'")

    def column(self, name: str) -> pa.ChunkedArray:
        """A whole column, which is not that of the images."""
        with self._explained():
            column = self.file.read(columns=[name]).column(0)
            column.validate(full=True)  # the library trusts that texts are UTF-8
        return column

    def names(self, num_rows: int) -> pa.ChunkedArray:
        """The images' names."""
        if self._options.name_column in self.file.schema_arrow.names:
            names = self.column(self._options.name_column)
            with self._explained():
                if len(names) != num_rows:
                    raise ValueError(f"{len(names)} names for {num_rows} images")
                return names.cast(pa.large_string()).fill_null("")
        rows = pc.cast(pa.array(np.arange(num_rows)), pa.large_string())
        stem, slash = (pa.scalar(text, pa.large_string()) for text in (self._path.stem, "/"))
        return pa.chunked_array([pc.binary_join_element_wise(stem, rows, slash)])

    def images(self) -> Iterator[bytes | None]:
        """The images, from the first row to the last; None where there is none."""
        name = self._options.image_column
        columns = [f"{name}.bytes" if self._is_struct else name]
        batches = self.file.iter_batches(_ROWS_AT_ONCE, columns=columns, use_threads=False)
        while True:
            with self._explained():
                batch = next(batches, None)
            if batch is None:
                return
            column = batch.column(0)
            for value in pc.struct_field(column, "bytes") if self._is_struct else column:
                yield value.as_py()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            detail = " ".join(str(error).split())[:200]
            raise FileError(self._path, f"no readable Parquet file: {detail}", "copy or download it again") from error


class _InOrder:
    """The images of tables, one after the other. Going back costs reading from the begin again."""

    def __init__(self, tables: Sequence[_Table]) -> None:
        self._tables = tables
        self._next = 0
        self._images = self._from_begin()

    def read(self, row: int) -> bytes:
        if row < self._next:
            self._next, self._images = 0, self._from_begin()
        while self._next < row:
            next(self._images, None)
            self._next += 1
        self._next += 1
        image = next(self._images, None)
        if image is None:
            raise ImageError("there is no image in the table")
        check_num_bytes(len(image))
        return image

    def _from_begin(self) -> Iterator[bytes | None]:
        return (image for table in self._tables for image in table.images())


class _Spool:
    """The images of tables, copied to a temporary file that vanishes with the process, to be read in any order."""

    def __init__(self, images: _InOrder, num_images: int, scratch: Path) -> None:
        self._images = images
        self._num_images = num_images
        self._scratch = scratch
        self._problems: dict[int, str] = {}
        self._ends = array("q", [0])

    def read(self, row: int) -> bytes:
        file = self._file
        if row in self._problems:
            raise ImageError(self._problems[row])
        file.seek(self._ends[row])
        return file.read(self._ends[row + 1] - self._ends[row])

    @cached_property
    def _file(self) -> BinaryIO:
        """The temporary file, filled when the first image is asked for."""
        file: BinaryIO = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - open as long as this object
        for row in tqdm(range(self._num_images), desc="copying", unit="image", delay=2, disable=None):
            image = b""
            try:
                image = self._images.read(row)
            except ImageError as error:
                self._problems[row] = str(error)
            file.write(image)
            self._ends.append(self._ends[-1] + len(image))
        return file


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
