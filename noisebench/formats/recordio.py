"""RecordIO, MXNet's container: numbered records in one ``.rec`` file, found through a text index ``.idx``.

A record, little-endian and aligned to four bytes::

    uint32 magic | uint32: part (3 bits), length (29 bits) | payload | zeros up to the next multiple of four

The magic never occurs inside a payload at an aligned place: the writer cuts the payload there, leaves those four bytes
out and numbers the parts 1 (first), 2 (middle), 3 (last); part 0 is a whole record. An index line is
``key<TAB>byte offset``. The payload of an image record begins with a ``Header``.

Files written here equal those of MXNet 1.9.1 byte for byte. Files read here are not trusted: every offset and length
is checked against the file before anything is touched. RecordIO has no checksums; ``record_sums`` adds them.
"""

from __future__ import annotations

import mmap
import numbers
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats.record_index import RecordIndex
from noisebench.formats.record_sums import RecordSums

MAGIC = 0xCED7230A
MAX_PAYLOAD = (1 << 29) - 1

_MAGIC_BYTES = struct.pack("<I", MAGIC)
_PART_HEADER = struct.Struct("<II")
_IMAGE_HEADER = struct.Struct("<IfQQ")
_LENGTH_BITS = 29
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_RECORDS_AT_ONCE = 1 << 16
_DAMAGED = "the file is damaged: copy or download it again"


class RecordError(FileError):
    """A record is damaged.

    Attributes:
        key: The record's key.
        offset: The byte of the ``.rec`` file where it begins.
        fault: What is wrong with it, without its place.
    """

    def __init__(self, rec: Path, key: int, offset: int, fault: str, remedy: str) -> None:
        self.key = key
        self.offset = offset
        self.fault = fault
        super().__init__(rec, f"record {key} at byte {offset}: {fault}", remedy)
        self.args = (rec, key, offset, fault, remedy)


class Header(NamedTuple):
    """What precedes the image in a record's payload (MXNet's ``IRHeader``).

    Attributes:
        flag: 0 for a scalar label, else the number of values in an array label.
        label: The label, or a float32 array of ``flag`` labels.
        id: Number of the record.
        id2: Higher bits of that number, 0 in practice.
    """

    flag: int
    label: float | NDArray[np.float32]
    id: int
    id2: int = 0


class RecordLabels(NamedTuple):
    """The headers of N records, as arrays.

    Attributes:
        flag: int64 [N], see ``Header``.
        label: float32 [N, 2]: the first two labels, NaN where a record has only one.
        has_image: bool [N]: whether anything follows the header.
    """

    flag: NDArray[np.int64]
    label: NDArray[np.float32]
    has_image: NDArray[np.bool_]


def pack(header: Header, body: bytes) -> bytes:
    """The payload of an image record: the header, then ``body``. The flag follows from the label, as in MXNet."""
    if isinstance(header.label, numbers.Real):
        return _IMAGE_HEADER.pack(0, header.label, header.id, header.id2) + body
    labels = np.asarray(header.label, dtype="<f4")
    return _IMAGE_HEADER.pack(labels.size, 0.0, header.id, header.id2) + labels.tobytes() + body


def unpack(payload: bytes | memoryview) -> tuple[Header, memoryview]:
    """Split the payload of an image record into its header and what follows, without a copy.

    Raises:
        ValueError: The payload is shorter than its header says.
    """
    view = memoryview(payload)
    if len(view) < _IMAGE_HEADER.size:
        raise ValueError(f"{len(view)} bytes are too few for an image header of {_IMAGE_HEADER.size}")
    flag, label, number, number2 = _IMAGE_HEADER.unpack_from(view)
    body = _IMAGE_HEADER.size + 4 * flag
    if len(view) < body:
        raise ValueError(f"the header promises {flag} labels, but the record has only {len(view)} bytes")
    if flag:
        label = np.frombuffer(view[_IMAGE_HEADER.size : body], dtype="<f4")
    return Header(flag, label, number, number2), view[body:]


def frame(payload: bytes) -> bytes:
    """A record as it stands in a file: its payload, cut into parts where the magic occurs in it.

    Raises:
        ValueError: The payload has 512 MiB or more.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{len(payload)} bytes are more than RecordIO's {MAX_PAYLOAD}")
    parts, start = [], 0
    cut = _find_magic(payload, start)
    while cut >= 0:
        parts.append(_part(_MIDDLE if start else _FIRST, payload[start:cut]))
        start = cut + len(_MAGIC_BYTES)
        cut = _find_magic(payload, start)
    parts.append(_part(_LAST if start else _WHOLE, payload[start:]))
    return b"".join(parts)


class RecordReader:
    """Random access to the records of a memory-mapped file. Reading is thread-safe.

    Args:
        rec: The ``.rec`` file.
        idx: Its index; beside ``rec`` with the ending ``.idx`` if not given.

    Raises:
        FileError: A file is missing or empty, the index is damaged or belongs to another ``.rec``, or the checksums
            are damaged.
    """

    def __init__(self, rec: Path, idx: Path | None = None) -> None:
        self.rec = rec
        self._map = _map_file(rec)
        self._bytes = memoryview(self._map)
        self._words = np.frombuffer(self._map, dtype="<u4", count=len(self._map) // 4)
        self.index = RecordIndex.read(idx or rec.with_suffix(".idx"))
        self.index.check_against(rec, len(self._map))
        self.sums = RecordSums.read(rec.with_suffix(".sums"))

    @property
    def keys(self) -> NDArray[np.int64]:
        """Keys of all records, int64 [N], in the order of the index."""
        return self.index.keys

    @property
    def num_bytes(self) -> int:
        """Size of the ``.rec`` file."""
        return len(self._map)

    def read(self, key: int) -> memoryview:
        """The payload of a record, unless it was split a view into the file.

        Raises:
            FileError: There is no such key, or the record is damaged or cut short; as far as that can be told without
                checksums.
        """
        payload, _ = self.read_with_end(key)
        if self.sums is not None and not self.sums.matches(key, payload):
            remedy = f"copy or download it again; if it was changed on purpose, remove {self.sums.path}"
            raise self.fault(key, f"differs from its checksum in {self.sums.path.name}", remedy)
        return payload

    def read_with_end(self, key: int) -> tuple[memoryview, int]:
        """As ``read``, but without comparing checksums: the payload, and the byte where the next record may begin."""
        payload, part, end = self._read_part(key, self.index.offset(key))
        if part == _WHOLE:
            return payload, end
        if part != _FIRST:
            raise self.fault(key, "begins in the middle of a split record")
        parts, size = [payload], len(payload)
        while part != _LAST:
            payload, part, end = self._read_part(key, end)
            size += 4 + len(payload)
            if part not in (_MIDDLE, _LAST) or size > MAX_PAYLOAD:
                raise self.fault(key, f"a split record without its last part before byte {end}")
            parts.append(payload)
        return memoryview(_MAGIC_BYTES.join(parts)), end

    def read_image(self, key: int) -> tuple[Header, memoryview]:
        """Header and encoded image of a record.

        Raises:
            FileError: As ``read``; or the record does not hold the labels its header promises.
        """
        try:
            return unpack(self.read(key))
        except ValueError as error:
            raise self.fault(key, str(error)) from error

    def read_labels(self, keys: NDArray[np.int64]) -> RecordLabels:
        """The headers of many records at once, without reading their images.

        Raises:
            FileError: A key is missing, or a record is damaged or cut short.
        """
        firsts = range(0, max(len(keys), 1), _RECORDS_AT_ONCE)
        chunks = [self._read_labels(keys[first : first + _RECORDS_AT_ONCE]) for first in firsts]
        return RecordLabels(*(np.concatenate(column) for column in zip(*chunks, strict=True)))

    def may_begin_at(self, byte: int) -> bool:
        """Whether the magic number stands at a byte, as it does where a record begins."""
        return bytes(self._bytes[byte : byte + 4]) == _MAGIC_BYTES

    def fault(self, key: int, problem: str, remedy: str = _DAMAGED) -> RecordError:
        """The error that names this file, a record's key and its place."""
        return RecordError(self.rec, key, self.index.offset(key), problem, remedy)

    def _read_part(self, key: int, start: int) -> tuple[memoryview, int, int]:
        """Payload, part number and end of the part at byte ``start``, all of it known to lie within the file."""
        body = start + _PART_HEADER.size
        if body > len(self._bytes):
            raise self.fault(key, f"cut short at byte {len(self._bytes)}, the end of the file")
        magic, word = _PART_HEADER.unpack_from(self._bytes, start)
        if magic != MAGIC:
            raise self.fault(key, f"expected the magic number {MAGIC:#x} at byte {start}, found {magic:#x}")
        part, length = word >> _LENGTH_BITS, word & MAX_PAYLOAD
        if body + length > len(self._bytes):
            left = len(self._bytes) - body
            raise self.fault(key, f"cut short: {length} bytes should follow byte {body}, the file has {left}")
        payload = self._bytes[body : body + length]
        if _find_magic(bytes(payload), 0) >= 0:  # a writer never leaves it there
            raise self.fault(key, f"its {length} bytes from byte {body} run into another record")
        return payload, part, body + length + -length % 4

    def _read_labels(self, keys: NDArray[np.int64]) -> RecordLabels:
        """Gather the first ten words of each record: part header, image header and two array labels."""
        starts = self.index.offsets_of(keys) // 4
        places = np.minimum(starts[:, None] + np.arange(10), len(self._words) - 1)
        words = self._words[places]
        length = (words[:, 1] & MAX_PAYLOAD).astype(np.int64)
        flag = words[:, 2].astype(np.int64)
        body = _IMAGE_HEADER.size + 4 * flag
        floats = words.view("<f4")
        label = np.where(flag[:, None] > 0, floats[:, 8:10], floats[:, 3:4])
        label[flag < 2, 1] = np.nan
        has_image = length > body

        usual = (words[:, 0] == MAGIC) & (words[:, 1] >> _LENGTH_BITS == _WHOLE) & (length >= body)
        usual &= starts * 4 + _PART_HEADER.size + length <= len(self._bytes)
        for row in np.flatnonzero(~usual):  # split records, which are rare, and damaged ones, which raise
            header, image = self.read_image(int(keys[row]))
            labels = np.append(np.ravel(header.label), (np.nan, np.nan))
            flag[row], label[row], has_image[row] = header.flag, labels[:2], len(image) > 0
        return RecordLabels(flag, label, has_image)


class RecordWriter:
    """Write records one after the other, as MXNet's ``MXIndexedRecordIO`` does. Use it in a ``with`` block.

    Args:
        rec: The ``.rec`` file.
        idx: Its index; beside ``rec`` with the ending ``.idx`` if not given.
        append: Go on at the end of both files, which must lie at the end of a record.
    """

    def __init__(self, rec: Path, idx: Path | None = None, append: bool = False) -> None:
        mode = "a" if append else "w"
        self._rec = rec.open(f"{mode}b")
        self._idx = (idx or rec.with_suffix(".idx")).open(mode, encoding="ascii", newline="\n")
        self._offset = self._rec.tell()

    def write(self, key: int, payload: bytes) -> None:
        """Append a record.

        Raises:
            ValueError: The payload has 512 MiB or more.
        """
        try:
            record = frame(payload)
        except ValueError as error:
            raise ValueError(f"record {key}: {error}") from error
        self._idx.write(f"{key}\t{self._offset}\n")
        self._rec.write(record)
        self._offset += len(record)

    def sync(self) -> None:
        """Bring everything written so far to the disk."""
        for stream in (self._rec, self._idx):
            stream.flush()
            os.fsync(stream.fileno())

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._rec.close()
        finally:
            self._idx.close()


def _part(part: int, payload: bytes) -> bytes:
    return _PART_HEADER.pack(MAGIC, part << _LENGTH_BITS | len(payload)) + payload + bytes(-len(payload) % 4)


def _find_magic(payload: bytes, start: int) -> int:
    """The first aligned place of the magic in ``payload`` at or after ``start``, or -1."""
    place = payload.find(_MAGIC_BYTES, start)
    while place >= 0 and place % 4:
        place = payload.find(_MAGIC_BYTES, place + 1)
    return place


def _map_file(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                raise FileError(path, "the file is empty", _DAMAGED)
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the path of the data set") from error
