"""The text index ``.idx`` of a RecordIO file: one line ``key<TAB>byte offset`` for each record."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError

_BYTES_AT_ONCE = 1 << 24
_LINE = re.compile(rb"\d{1,18}\t\d{1,18}\r?\n?")
_MISMATCH = "use the .idx and .rec that were written together, and copy both whole"


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """Where each record of a ``.rec`` file begins.

    Attributes:
        path: The ``.idx`` file.
        keys: int64 [N], in the order of the file.
        offsets: int64 [N], in bytes.
    """

    path: Path
    keys: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> RecordIndex:
        """Read an index.

        Raises:
            FileError: The file is missing or empty, a line is not ``key<TAB>offset``, or a key is listed twice.
        """
        try:
            parts = list(_parse(path))
        except OSError as error:
            raise FileError(path, f"cannot be read: {error.strerror}", "check the path of the data set") from error
        if not parts:
            raise FileError(path, "the index is empty", "copy or download it again")
        keys, offsets = (np.concatenate([part[:, column] for part in parts]) for column in (0, 1))
        index = cls(path, keys, offsets)
        twice = np.flatnonzero(np.diff(index._sorted_keys) == 0)
        if twice.size:
            raise FileError(path, f"key {index._sorted_keys[twice[0]]} is listed twice", "pack the data set again")
        return index

    def check_against(self, rec: Path, num_bytes: int) -> None:
        """Check that every offset is a place in the ``.rec`` file where a record can begin.

        Raises:
            FileError: An offset lies past the end or is not a multiple of four.
        """
        wrong = np.flatnonzero((self.offsets > num_bytes - 8) | (self.offsets % 4 != 0))
        if wrong.size == 0:
            return
        line, key, offset = wrong[0] + 1, self.keys[wrong[0]], self.offsets[wrong[0]]
        if offset % 4:
            raise FileError(self.path, f"line {line}: key {key} points to byte {offset}, no multiple of 4", _MISMATCH)
        problem = f"line {line}: key {key} points to byte {offset}, past the end of {rec} ({num_bytes} bytes)"
        raise FileError(self.path, problem, _MISMATCH)

    def offset(self, key: int) -> int:
        """Where the record of a key begins.

        Raises:
            FileError: The key is not listed.
        """
        place = int(self._sorted_keys.searchsorted(key))
        if place == len(self.keys) or self._sorted_keys[place] != key:
            raise FileError(self.path, f"key {key} is not listed", _MISMATCH)
        return int(self.offsets[self._order[place]])

    def offsets_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the records of many keys begin, int64 [N].

        Raises:
            FileError: A key is not listed.
        """
        places = np.minimum(np.searchsorted(self._sorted_keys, keys), len(self.keys) - 1)
        missing = np.flatnonzero(self._sorted_keys[places] != keys)
        if missing.size:
            raise FileError(self.path, f"key {keys[missing[0]]} is not listed", _MISMATCH)
        return self.offsets[self._order[places]]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.keys, kind="stable")

    @cached_property
    def _sorted_keys(self) -> NDArray[np.int64]:
        return self.keys[self._order]


def _parse(path: Path) -> Iterator[NDArray[np.int64]]:
    """Blocks int64 [lines, 2] of an index, parsed by NumPy at millions of lines a second."""
    num_lines = 0
    with path.open("rb") as stream:
        while block := stream.read(_BYTES_AT_ONCE) + stream.readline():
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            values = _integers(block)
            if len(values) != 2 * lines or block.count(b"\t") != lines or values.min() < 0:
                raise _bad_line(path, block, num_lines)
            num_lines += lines
            yield values.reshape(lines, 2)


def _integers(text: bytes) -> NDArray[np.int64]:
    """All integers of a text up to the first thing that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, dtype=np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            return np.empty(0, dtype=np.int64)


def _bad_line(path: Path, block: bytes, num_lines: int) -> FileError:
    """The error that names the first line of ``block`` that is not ``key<TAB>offset``."""
    lines = block.splitlines(keepends=True)
    number = next((number for number, line in enumerate(lines) if not _LINE.fullmatch(line)), 0)
    found = lines[number][:40]
    return FileError(path, f"line {num_lines + number + 1}: expected 'key<TAB>offset', found {found!r}", _MISMATCH)
