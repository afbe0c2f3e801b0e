"""Arrays in a file that is mapped rather than read, and refused as a whole where anything in it is damaged.

::

    8 bytes: signature | uint32: length of the header | uint32: CRC-32 of the header | the header, JSON | arrays

Every array begins at a multiple of 64 bytes, little-endian, with its checksum in the header. Tens of megabytes are
checked in a millisecond or two, so that a cache can be trusted without a cost that would defeat it.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_SIGNATURE = b"NBARRAY1"
_FIXED = len(_SIGNATURE) + 8
_MAX_HEADER = 1 << 16
_ALIGNMENT = 64
_DTYPES = ("<i8", "<u4")
_WORDS_A_BLOCK = 1 << 12


def write(path: Path, kind: str, about: Mapping[str, object], arrays: Arrays) -> None:
    """Write one-dimensional arrays of int64 or uint32 to a file.

    Args:
        path: The file.
        kind: What the arrays are; ``read`` asks for it.
        about: What else the file is to say, as JSON values.
        arrays: The arrays by name.

    Raises:
        OSError: The file cannot be written.
    """
    data = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    columns = [[name, array.dtype.str, len(array), checksum(array.data)] for name, array in data.items()]
    header = json.dumps({"kind": kind, "about": about, "arrays": columns}).encode()
    with path.open("wb") as stream:
        stream.write(_SIGNATURE + _numbers(len(header), zlib.crc32(header)) + header)
        for array in data.values():
            stream.write(bytes(-stream.tell() % _ALIGNMENT))
            stream.write(array.data)


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Map the arrays of a file, once every bit of it was checked.

    Returns:
        What ``write`` was given as ``about``, and the arrays by name, read-only.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such file, or it is damaged.
    """
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    data = memoryview(mapped)
    header, place = _header(data)
    try:
        if header["kind"] != kind:
            raise ValueError(f"holds {header['kind']!r}, expected {kind!r}")
        return dict(header["about"]), dict(_arrays(data, place, header["arrays"]))
    except (LookupError, TypeError) as error:
        raise ValueError("its header is damaged") from error


def checksum(data: memoryview) -> int:
    """A checksum at the speed of memory: CRC-32 over the sums, modulo 2**64, of blocks of 4096 words.

    No change of a single word goes unseen, nor do blocks that changed places.
    """
    data = data.cast("B")
    blocks = len(data) // (8 * _WORDS_A_BLOCK)
    words = np.frombuffer(data, dtype="<u8", count=blocks * _WORDS_A_BLOCK).reshape(blocks, _WORDS_A_BLOCK)
    return zlib.crc32(data[words.nbytes :], zlib.crc32(words.sum(axis=1, dtype="<u8").tobytes()))


def _header(data: memoryview) -> tuple[dict[str, Any], int]:
    """The header and the byte after it."""
    length, expected = (int.from_bytes(data[start : start + 4], "little") for start in (_FIXED - 8, _FIXED - 4))
    end = _FIXED + length
    if bytes(data[: len(_SIGNATURE)]) != _SIGNATURE or length > _MAX_HEADER or end > len(data):
        raise ValueError("no such file, or damaged at its beginning")
    text = bytes(data[_FIXED:end])
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its header is damaged") from error
    if zlib.crc32(text) != expected or not isinstance(header, dict):
        raise ValueError("its header is damaged")
    return header, end


def _arrays(data: memoryview, place: int, columns: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, dtype, count, expected in columns:
        padding = -place % _ALIGNMENT
        if any(data[place : place + padding]):
            raise ValueError(f"damaged before array '{name}'")
        place += padding
        if dtype not in _DTYPES or not isinstance(count, int) or not 0 <= count <= len(data):
            raise ValueError("its header is damaged")
        end = place + count * np.dtype(dtype).itemsize
        if end > len(data) or checksum(data[place:end]) != expected:
            raise ValueError(f"array '{name}' is damaged or cut short")
        yield str(name), np.frombuffer(data[place:end], dtype=dtype)
        place = end
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes too many")


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)
