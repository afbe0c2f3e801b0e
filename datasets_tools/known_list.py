"""Lists of known-bad or corrected labels, such as cleaned versions of real sets publish: read with suspicion."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from noisebench.errors import FileError, did_you_mean
from noisebench.files import sha256_of

NOBODY, UNSAID = -1, -2
"""Codes in ``KnownList.labels``: the image shows nobody of the set; the list names the image and says no label."""

MAX_BYTES = 1 << 32
"""Several times a list of the largest face set there is; a larger file is something else."""

_NOBODY_WORDS = ("-1", "noise", "delete")
_HEADINGS = ("key", "index", "name", "image")

_Row = tuple[int, list[str]]
"""A line's number, the first being 1, and its fields."""


@dataclass(frozen=True)
class KnownList:
    """What a list says of some images of a set, each image once.

    Attributes:
        path: The list.
        names: The file that gave the images their names, if the list has names.
        keys: Record keys, int64 [K], ascending.
        labels: Corrected labels, int64 [K]: an identity, or ``NOBODY``, or ``UNSAID``.
        lines: Number of the line (in Parquet: the row) that says so, int64 [K], the first being 1.
    """

    path: Path
    names: Path | None
    keys: NDArray[np.int64]
    labels: NDArray[np.int64]
    lines: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path, names: Path | None = None) -> KnownList:
        """Read a list: CSV (.csv), cut at tabs (.tsv, .lst), Parquet (.parquet), or anything else cut at white space.

        The first column says which image: its record's key, or with ``names`` its name. The second is the corrected
        label: an identity from 0 on; -1, "noise" or "delete" for an image that shows nobody of the set; or nothing at
        all. In text, lines that begin with "#" are skipped, and so is a heading.

        Args:
            path: The list.
            names: Which key has which name, in the same formats: the key first, the name last, such as an im2rec .lst.

        Raises:
            FileError: A file is missing, is no list, names an unknown image, or contradicts itself; the line is named.
        """
        key_of = _read_names(names) if names is not None else None
        keys, labels, lines = array("q"), array("q"), array("q")
        for line, (image, *said) in tqdm(_rows(path), desc="reading the list", unit="line", delay=2, disable=None):
            if len(said) > 1:
                raise FileError(
                    path, f"line {line}: {len(said) + 1} columns, expected an image and its corrected label"
                )
            keys.append(_key(path, line, image, key_of))
            labels.append(_label(path, line, said[0] if said else ""))
            lines.append(line)
        return cls(
            path, names, *_each_once(path, *(np.array(column, dtype=np.int64) for column in (keys, labels, lines)))
        )

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the list's file."""
        return sha256_of(self.path)


def _key(path: Path, line: int, image: str, key_of: dict[str, int] | None) -> int:
    if key_of is None:
        if not (image.isascii() and image.isdigit() and len(image) < 19):
            raise FileError(
                path, f"line {line}: {image[:80]!r} is no record key", "name the file of the images' names with --names"
            )
        return int(image)
    if image not in key_of:
        raise FileError(path, f"line {line}: no image is called {image[:80]!r} in the file of names")
    return key_of[image]


def _label(path: Path, line: int, text: str) -> int:
    if not text:
        return UNSAID
    if text.lower() in _NOBODY_WORDS:
        return NOBODY
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        expected = f"expected a label from 0 on, or {', '.join(_NOBODY_WORDS)}"
        raise FileError(path, f"line {line}: the corrected label is {text[:80]!r}, {expected}")
    return int(text)


def _each_once(
    path: Path, keys: NDArray[np.int64], labels: NDArray[np.int64], lines: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The columns in the order of the keys, without lines that only say again what an earlier one said."""
    order = np.argsort(keys, kind="stable")
    keys, labels, lines = keys[order], labels[order], lines[order]
    again = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    contrary = again[labels[again] != labels[again - 1]]
    if len(contrary):
        second = contrary[np.argmin(lines[contrary])]
        problem = f"line {lines[second]}: contradicts line {lines[second - 1]} on the label of record {keys[second]}"
        raise FileError(path, problem, "keep one of the two")
    return np.delete(keys, again), np.delete(labels, again), np.delete(lines, again)


def _read_names(path: Path) -> dict[str, int]:
    """The record key of each image's name."""
    key_of: dict[str, int] = {}
    for line, fields in tqdm(_rows(path), desc="reading the names", unit="line", delay=2, disable=None):
        if len(fields) < 2:
            raise FileError(path, f"line {line}: {len(fields)} column, expected a record's key first and its name last")
        key, name = _key(path, line, fields[0], None), fields[-1]
        if key_of.setdefault(name, key) != key:
            problem = f"line {line}: the name {name[:80]!r} is that of record {key_of[name]}, and now of record {key}"
            raise FileError(path, problem, "give every image a name of its own")
    return key_of


def _rows(path: Path) -> Iterator[_Row]:
    if not path.is_file():
        raise FileError(path, "no such list")
    if path.stat().st_size > MAX_BYTES:
        raise FileError(path, f"larger than {MAX_BYTES} bytes, so it is no list of images")
    try:
        yield from _parquet_rows(path) if path.suffix.lower() == ".parquet" else _text_rows(path)
    except (pa.ArrowException, csv.Error, ValueError, OSError) as error:
        raise FileError(path, f"no list of images, or damaged: {str(error).partition(chr(10))[0]}") from error


def _text_rows(path: Path) -> Iterator[_Row]:
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


def _parquet_rows(path: Path) -> Iterator[_Row]:
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
