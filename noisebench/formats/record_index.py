"""The text index ``.idx`` of a RecordIO file: one line ``key<TAB>byte offset`` for each record."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats import index_cache
from noisebench.formats.index_cache import Content

_BYTES_AT_ONCE = 1 << 16  # so little that the allocator uses the same memory again: fresh memory is dear
_ROWS_AT_ONCE = 1 << 16
_MAX_DIGITS = 15  # of a number that float64 holds exactly, whichever it is
_NOWHERE = np.iinfo(np.uint32).max
_LINE = re.compile(rb"\d{1,18}\t\d{1,18}\r?\n?")
_MISMATCH = "use the .idx and .rec that were written together, and copy both whole"


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """Where each record of a ``.rec`` file begins.

    Args:
        path: The ``.idx`` file.
        content: What is in it.
    """

    path: Path
    content: Content

    @classmethod
    def read(cls, path: Path) -> RecordIndex:
        """Read an index, or its cached copy (see ``index_cache``).

        Raises:
            FileError: The file is missing or empty, a line is not ``key<TAB>offset``, or a key or offset is listed
                twice.
        """
        try:
            state = index_cache.state_of(path)
            content = index_cache.read(path, state)
            if content is None:
                to_be_cached = index_cache.is_worth_writing(state)
                content = _content(path, _parse(path))
                if to_be_cached:
                    index_cache.write(path, state, content)
        except OSError as error:
            raise FileError(path, f"cannot be read: {error.strerror}", "check the path of the data set") from error
        return cls(path, content)

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """Keys, int64 [N], in the order of the lines."""
        _, first_key, ascending, order = self.content
        if ascending is None:
            ascending = np.arange(first_key, first_key + len(self), dtype=np.int64)
        if order is None:
            return ascending
        keys = np.zeros(len(self), dtype=np.int64)
        keys[order] = ascending
        return keys

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Offsets in bytes, int64 [N], in the order of the lines."""
        return self.content.offsets

    def __len__(self) -> int:
        """The number of records."""
        return len(self.content.offsets)

    def __contains__(self, key: int) -> bool:
        """Whether a key is listed."""
        return self._row(key) is not None

    def check_against(self, rec: Path, num_bytes: int) -> None:
        """Check that every offset is a place in the ``.rec`` file where a record can begin.

        Raises:
            FileError: An offset lies past the end or is not a multiple of four.
        """
        every_bit = int(np.bitwise_or.reduce(self.offsets))  # negative if any offset is
        if every_bit >= 0 and every_bit % 4 == 0 and int(self.offsets.max()) <= num_bytes - 8:
            return
        wrong = (self.offsets < 0) | (self.offsets > num_bytes - 8) | (self.offsets % 4 != 0)
        row = int(np.argmax(wrong))
        key, offset = self.keys[row], self.offsets[row]
        problem = "no multiple of 4" if offset % 4 else f"past the end of {rec} ({num_bytes} bytes)"
        raise FileError(self.path, f"line {row + 1}: key {key} points to byte {offset}, {problem}", _MISMATCH)

    def offset(self, key: int) -> int:
        """Where the record of a key begins.

        Raises:
            FileError: The key is not listed.
        """
        row = self._row(key)
        if row is None:
            raise FileError(self.path, f"key {key} is not listed", _MISMATCH)
        return int(self.offsets[row])

    def offsets_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the records of many keys begin, int64 [N].

        Raises:
            FileError: A key is not listed.
        """
        _, first_key, ascending, order = self.content
        if ascending is None:  # a key's place follows without a search
            places = np.clip(keys, first_key, first_key + len(self) - 1) - first_key
            listed = places + first_key == keys
        else:
            places = np.minimum(np.searchsorted(ascending, keys), len(self) - 1)
            listed = ascending[places] == keys
        if not np.all(listed):
            raise FileError(self.path, f"key {keys[np.argmin(listed)]} is not listed", _MISMATCH)
        return np.asarray(self.offsets[places if order is None else order[places]])

    def _row(self, key: int) -> int | None:
        """The line of one key, counted from 0; None if it is not listed."""
        _, first_key, ascending, order = self.content
        place = key - first_key if ascending is None else int(ascending.searchsorted(key))
        if not 0 <= place < len(self) or (ascending is not None and ascending[place] != key):
            return None
        return place if order is None else int(order[place])


class _Lines(NamedTuple):
    """The lines of an index: N keys, which in nearly every set count up from the first, and their offsets.

    Attributes:
        first_key: The first key.
        keys: int64 [N]; None where they count up from the first.
        offsets: int64 [N].
    """

    first_key: int
    keys: NDArray[np.int64] | None
    offsets: NDArray[np.int64]


def _parse(path: Path) -> _Lines:
    """Keys and offsets, parsed by NumPy at millions of lines a second."""
    first_key, keys, offsets, row = 0, None, np.empty(0, dtype=np.int64), 0
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        for block in _blocks(stream):
            values = _even_lines(block)
            if values is None:
                values = _uneven_lines(path, block, row)
            some, lines = values[:, 0], len(values)
            if row == 0:
                first_key = int(some[0])
            if row + lines > len(offsets):
                # Lines grow longer with their offsets, so these are too many: what is never written to costs nothing.
                offsets = _longer(offsets[:row], row + lines + lines * size // len(block))
            if keys is None and not np.array_equal(some, np.arange(first_key + row, first_key + row + lines)):
                keys = np.arange(first_key, first_key + row)
            if keys is not None:
                if row + lines > len(keys):
                    keys = _longer(keys[:row], max(len(offsets), row + lines))
                keys[row : row + lines] = some
            offsets[row : row + lines] = values[:, 1]
            row += lines
    if row == 0:
        raise FileError(path, "the index is empty", "copy or download it again")
    return _Lines(first_key, None if keys is None else keys[:row], offsets[:row])


def _longer(numbers: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """The numbers in an array with room for more."""
    longer = np.empty(capacity, dtype=np.int64)
    longer[: len(numbers)] = numbers
    return longer


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """A file cut at the ends of lines."""
    while block := stream.read(_BYTES_AT_ONCE) + stream.readline():
        yield block


def _even_lines(block: bytes) -> NDArray[np.int64] | None:
    """Keys and offsets, [M, 2], where all lines are of one form, as in nearly every block; None where they are not.

    One product of matrices weighs all digits: three times as fast as parsing number by number.
    """
    tab, width = block.find(b"\t"), block.find(b"\n") + 1
    if not (0 < tab <= _MAX_DIGITS and 1 < width - 1 - tab <= _MAX_DIGITS + 1 and len(block) % width == 0):
        return None
    text = np.frombuffer(block, dtype=np.uint8).reshape(-1, width)
    digits = text - np.uint8(ord("0"))
    digits[:, tab] = digits[:, -1] = 0
    if digits.max() > 9 or np.any(text[:, tab] != ord("\t")) or np.any(text[:, -1] != ord("\n")):
        return None
    values = digits.astype(np.float64) @ _weights(tab, width)
    return values.astype(np.int64)


@lru_cache
def _weights(tab: int, width: int) -> NDArray[np.float64]:
    """What each character of a line counts in its key and in its offset, [width, 2]."""
    weights = np.zeros((width, 2))
    for column, digits in enumerate((slice(0, tab), slice(tab + 1, width - 1))):
        weights[digits, column] = 10.0 ** np.arange(digits.stop - digits.start)[::-1]
    return weights


def _uneven_lines(path: Path, block: bytes, row: int) -> NDArray[np.int64]:
    """Keys and offsets, [M, 2], of lines that begin with line ``row``, counted from 0.

    Raises:
        FileError: A line is not ``key<TAB>offset``.
    """
    lines, values = _count_lines(block), _integers(block)
    if len(values) != 2 * lines or _count(block, b"\t") != lines or values.min() < 0:
        raise _bad_line(path, block, row)
    return values.reshape(-1, 2)


def _count_lines(block: bytes) -> int:
    return _count(block, b"\n") + (not block.endswith(b"\n"))


def _count(block: bytes, character: bytes) -> int:
    """As ``block.count``, several times faster where there are many."""
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == ord(character)))


def _content(path: Path, lines: _Lines) -> Content:
    """Put the keys in order.

    Raises:
        FileError: A key or an offset is listed twice.
    """
    first_key, keys, offsets = lines
    if not np.all(offsets[1:] > offsets[:-1]):
        _check_apart(path, np.arange(first_key, first_key + len(offsets)) if keys is None else keys, offsets)
    if keys is None:
        return Content(offsets, first_key, None, None)
    first, last = int(keys.min()), int(keys.max())
    if np.all(keys[1:] > keys[:-1]):
        return Content(offsets, first, None if last - first + 1 == len(keys) else keys, None)
    order = np.full(len(keys), _NOWHERE, dtype=np.uint32)
    if last - first + 1 == len(keys):
        for start in range(0, len(keys), _ROWS_AT_ONCE):
            some = keys[start : start + _ROWS_AT_ONCE]
            order[some - first] = np.arange(start, start + len(some), dtype=np.uint32)
        if not np.any(order == _NOWHERE):
            return Content(offsets, first, None, order)
    order[:] = np.argsort(keys, kind="stable")
    ascending = keys[order]
    twice = np.flatnonzero(ascending[1:] == ascending[:-1])
    if twice.size:
        raise FileError(path, f"key {ascending[twice[0]]} is listed twice", "pack the data set again")
    return Content(offsets, first, ascending, order)


def _check_apart(path: Path, keys: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
    """Check that no two keys share an offset: a damaged line could otherwise stand for another record."""
    order = np.argsort(offsets, kind="stable")
    twice = np.flatnonzero(np.diff(offsets[order]) == 0)
    if twice.size:
        row, other = sorted(order[twice[0] : twice[0] + 2].tolist())
        problem = f"line {other + 1}: key {keys[other]} points to byte {offsets[other]}, as key {keys[row]} does"
        raise FileError(path, problem, _MISMATCH)


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
