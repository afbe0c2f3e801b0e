"""What a source of images holds: names and labels of millions of images in little memory, and how to read each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a source in ascending order of label: all but their bytes.

    Attributes:
        names: Name of each image in its source, strings [N].
        labels: int32 [N], ascending.
        identities: Name of each label in its source, strings [C].
        read: The encoded image at a place of the listing; raises ``ImageError`` if it cannot be had.
    """

    names: pa.ChunkedArray = field(repr=False)
    labels: NDArray[np.int32]
    identities: Sequence[str]
    read: Callable[[int], bytes]

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal over names and labels: whether two listings are of the same images."""
        digest = hashlib.sha256(self.labels.astype("<i4").tobytes())
        for first in range(0, len(self.names), _AT_ONCE):
            digest.update("\0".join(self.names[first : first + _AT_ONCE].to_pylist()).encode())
        return digest.hexdigest()


class Texts:
    """Millions of short byte strings, gathered one by one and kept as one Arrow column."""

    def __init__(self) -> None:
        self._chunks: list[pa.Array] = []
        self._last: list[bytes] = []

    def append(self, text: bytes) -> None:
        """Add a string."""
        self._last.append(text)
        if len(self._last) == _AT_ONCE:
            self._close_chunk()

    def finish(self) -> pa.ChunkedArray:
        """All that were added, large_binary [N]."""
        self._close_chunk()
        return pa.chunked_array(self._chunks, type=pa.large_binary())

    def _close_chunk(self) -> None:
        self._chunks.append(pa.array(self._last, type=pa.large_binary()))
        self._last = []


def as_text(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Byte strings as text; bytes that are no UTF-8 are written out in hexadecimal."""
    return pa.chunked_array([_chunk_as_text(chunk) for chunk in names.chunks], type=pa.large_string())


def _chunk_as_text(chunk: pa.Array) -> pa.Array:
    try:
        return chunk.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [name.decode("utf-8", "backslashreplace") for name in chunk.to_pylist()]
        return pa.array(texts, type=pa.large_string())
