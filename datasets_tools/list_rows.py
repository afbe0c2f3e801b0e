"""Lists of images, row after row: CSV (.csv), cut at tabs (.tsv, .lst), Parquet (.parquet), or cut at white space.

In text, lines that begin with "#" are skipped, and so is a heading.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noisebench.errors import FileError, did_you_mean

MAX_BYTES = 1 << 32
"""Several times a list of the largest face set there is; a larger file is something else."""

_HEADINGS = ("key", "index", "name", "image")

Row = tuple[int, list[str]]
"""A line's number (in Parquet: the row's), the first being 1, and its fields."""


def as_key(path: Path, line: int, text: str) -> int:
    """A field as a record's key.

    Raises:
        FileError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise FileError(
            path, f"line {line}: {text[:80]!r} is no record key", "name the file of the images' names with --names"
        )
    return int(text)


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a list.

    Raises:
        FileError: It is missing, damaged, or no list.
    """
    if not path.is_file():
        raise FileError(path, "no such list")
    if path.stat().st_size > MAX_BYTES:
        raise FileError(path, f"larger than {MAX_BYTES} bytes, so it is no list of images")
    try:
        yield from _parquet_rows(path) if path.suffix.lower() == ".parquet" else _text_rows(path)
    except (pa.ArrowException, csv.Error, ValueError, OSError) as error:
        raise FileError(path, f"no list of images, or damaged: {str(error).partition(chr(10))[0]}") from error


def _text_rows(path: Path) -> Iterator[Row]:
    split = _SPLIT.get(path.suffix.lower(), _at_white_space)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        is_first = True
        for line, fields in enumerate(split(stream), start=1):
            stripped = [field.strip() for field in fields]
            if not any(stripped) or stripped[0].startswith("#"):
                continue
            if not (is_first and stripped[0].lower() in _HEADINGS):
                yield line, stripped
            is_first = False


def _at_commas(lines: Iterable[str]) -> Iterator[list[str]]:
    return csv.reader(lines, strict=True)


def _at_tabs(lines: Iterable[str]) -> Iterator[list[str]]:
    return (line.split("\t") for line in lines)


def _at_white_space(lines: Iterable[str]) -> Iterator[list[str]]:
    return map(str.split, lines)


_SPLIT = {".csv": _at_commas, ".tsv": _at_tabs, ".lst": _at_tabs}
"""How the lines of a file of this ending are cut into columns; those of any other at white space."""


def _parquet_rows(path: Path) -> Iterator[Row]:
    """The columns in the file's own order; an index that pandas kept is not one of them."""
    row = 0
    with pq.ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if not name.startswith("__index")]
        if not columns or columns[0].lower() not in _HEADINGS:
            found = columns[0] if columns else ""
            raise FileError(
                path, f"its first column is '{found}', expected the images: {did_you_mean(found, _HEADINGS)}"
            )
        for batch in file.iter_batches(columns=columns):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                row += 1
                yield row, [_as_text(value) for value in values]


def _as_text(value: object) -> str:
    if value is None or value != value:  # not a number: how pandas writes that a whole number is missing
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
