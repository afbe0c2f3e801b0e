"""MegaFace's feature files: one vector a file, as its development kit reads and writes OpenCV matrices.

- int32: rows, the number of components D;
- int32: columns, 1;
- int32: bytes a component, 4;
- int32: OpenCV's type, 5 for CV_32F;
- D components, float32.

All little-endian. A file is never read further than its header and its size agree.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file

MAX_COMPONENTS = 1 << 16

_HEADER = struct.Struct("<4i")
_COLUMNS, _BYTES, _TYPE = 1, 4, 5  # 5 is OpenCV's CV_32F
_FORMAT = "expected 'rows, 1, 4, 5' as int32, then as many float32 as rows"


def decode(data: bytes) -> NDArray[np.float32]:
    """The vector [D] in the bytes of a feature file.

    Raises:
        ValueError: They are none, or a component is not finite.
    """
    if len(data) < _HEADER.size:
        raise ValueError(f"{len(data)} bytes; {_FORMAT}")
    rows, *layout = _HEADER.unpack_from(data)
    if layout != [_COLUMNS, _BYTES, _TYPE] or not 0 < rows <= MAX_COMPONENTS:
        raise ValueError(f"its header is {(rows, *layout)}; {_FORMAT}")
    if len(data) != _HEADER.size + rows * _BYTES:
        raise ValueError(f"{len(data)} bytes, its header tells of {_HEADER.size + rows * _BYTES}")
    vector = np.frombuffer(data, "<f4", offset=_HEADER.size).astype(np.float32)
    if not np.isfinite(vector).all():
        raise ValueError(f"component {int(np.argmin(np.isfinite(vector)))} is not finite")
    return vector


def encode(vector: NDArray[np.floating]) -> bytes:
    """The bytes of a feature file for a vector [D]."""
    return _HEADER.pack(len(vector), _COLUMNS, _BYTES, _TYPE) + vector.astype("<f4").tobytes()


def read(path: Path) -> NDArray[np.float32]:
    """Read a feature file.

    Raises:
        FileError: It is missing or none.
    """
    try:
        with path.open("rb") as stream:
            return decode(stream.read(_HEADER.size + MAX_COMPONENTS * _BYTES + 1))
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FileError(path, f"no feature file: {error}") from error


def write(path: Path, vector: NDArray[np.floating]) -> None:
    """Write a feature file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(encode(vector))
