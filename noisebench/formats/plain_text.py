"""Lists and tables of test sets: lines of fields, read with a bound on size and every fault named by its line."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError

MAX_BYTES = 2 << 30
"""Above the largest list of the field, the 15.7 million pairs of IJB-C."""


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a list.

    Raises:
        FileError: It is missing, no regular file, or too large to be a list.
    """
    try:
        if path.exists() and not path.is_file():  # reading from a pipe would wait for ever
            raise FileError(path, "not a regular file")
        if path.stat().st_size > max_bytes:
            raise FileError(path, f"larger than {max_bytes} bytes, so it is no list")
        return path.read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the folder of the test set") from error


def lines_of(path: Path, data: bytes) -> list[str]:
    """The lines of a text in UTF-8.

    Raises:
        FileError: It is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(path, f"no text in UTF-8: byte {error.start} is {data[error.start]:#04x}") from error


def number_columns(
    path: Path, data: bytes, columns: Sequence[int], *, separator: str = " ", header: bool = False
) -> list[NDArray[np.int64]]:
    """Columns of whole numbers of a table in text, int64 [N] each.

    Args:
        path: Where the bytes are from, for messages.
        data: The text.
        columns: Numbers of the columns, from 0, ascending.
        separator: A space stands for any white space.
        header: Whether to pass over the first line.

    Raises:
        FileError: The table is empty, a row is too short, or a field is no whole number.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # that there is nothing, or that a fraction was cut off
            table = np.loadtxt(
                io.BytesIO(data),
                dtype=np.int64,
                comments=None,
                delimiter=None if separator == " " else separator,
                skiprows=1 if header else 0,
                usecols=tuple(columns),
                ndmin=2,
            )
    except (ValueError, OverflowError, Warning) as error:
        fault = _first_fault(data, columns, separator, header)
        raise FileError(
            path, f"{fault}; expected whole numbers in columns {[column + 1 for column in columns]}"
        ) from error
    return list(table.T)


def _first_fault(data: bytes, columns: Sequence[int], separator: str, header: bool) -> str:
    """The first line at fault, found the slow way once it is known that there is one."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if (header and number == 1) or not line.strip():
            continue
        fields = line.split(None if separator == " " else separator.encode())
        if len(fields) <= max(columns) or not all(_is_whole(fields[column].strip()) for column in columns):
            return f"line {number} is {line.strip()[:80].decode(errors='replace')!r}"
    return "lists nothing"


def _is_whole(field: bytes) -> bool:
    return field.removeprefix(b"-").isdigit() and len(field) < 19
