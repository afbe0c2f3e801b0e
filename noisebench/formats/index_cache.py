"""A binary copy of a large text index, beside it as ``train.idx.cache``: mapped in milliseconds instead of parsed.

It is a convenience that may be deleted at any time. It is used only where it is whole, and where size, times and both
ends of the index are those of the index it was made from; else the text is read as if there were no cache. It is
written where the folder lets it be, and not for an index so new that a change of it could bear the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.formats import checked_arrays

MIN_BYTES = 1 << 20
"""A smaller index is parsed faster than anybody notices."""

_KIND = "record index, version 1"
_SETTLED_NS = 2_000_000_000
_BYTES_OF_AN_END = 1 << 16


class Content(NamedTuple):
    """What a text index of N lines comes to.

    Attributes:
        offsets: int64 [N], in the order of the lines.
        first_key: The lowest key.
        sorted_keys: int64 [N], ascending; None where they are the N numbers from ``first_key`` on.
        order: uint32 [N], the lines in ascending order of their keys; None where that is their own order.
    """

    offsets: NDArray[np.int64]
    first_key: int
    sorted_keys: NDArray[np.int64] | None
    order: NDArray[np.uint32] | None


def path_of(idx: Path) -> Path:
    """Where the cache of an index is."""
    return idx.with_name(f"{idx.name}.cache")


def state_of(idx: Path) -> dict[str, object]:
    """What tells one state of a text index from every other, without reading it: size, times, hash of both ends.

    Raises:
        OSError: It cannot be read.
    """
    status = idx.stat()
    with idx.open("rb") as stream:
        ends = hashlib.sha256(stream.read(_BYTES_OF_AN_END))
        stream.seek(max(0, status.st_size - _BYTES_OF_AN_END))
        ends.update(stream.read(_BYTES_OF_AN_END))
    # A time of modification can be set back; the time of change cannot.
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    return {"size": status.st_size, "modified": status.st_mtime_ns, "changed": changed, "ends": ends.hexdigest()}


def read(idx: Path, state: dict[str, object]) -> Content | None:
    """The cached copy of an index in the given state; None if there is none that is whole and of this state."""
    try:
        about, arrays = checked_arrays.read(path_of(idx), _KIND)
        content = Content(arrays["offsets"], about["first_key"], arrays.get("sorted_keys"), arrays.get("order"))
    except (OSError, ValueError, KeyError):
        return None
    return content if about.get("state") == state and _is_consistent(content) else None


def is_worth_writing(state: dict[str, object]) -> bool:
    """Whether an index in this state, just taken, is large enough for a cache, and old enough to be told from a later.

    A file that is changed twice within a tick of the clock has the same time after both.
    """
    size, changed = state["size"], state["changed"]
    assert isinstance(size, int), "as state_of made it"
    assert isinstance(changed, int), "as state_of made it"
    return size >= MIN_BYTES and time.time_ns() - changed >= _SETTLED_NS


def write(idx: Path, state: dict[str, object], content: Content) -> None:
    """Write the cached copy of an index that was in the given state before it was read, where that can be done."""
    about = {"state": state, "first_key": content.first_key}
    arrays = {name: array for name, array in content._asdict().items() if isinstance(array, np.ndarray)}
    with contextlib.suppress(FileError, OSError), whole_file(path_of(idx)) as temporary:
        checked_arrays.write(temporary, _KIND, about, arrays)


def _is_consistent(content: Content) -> bool:
    """Whether the arrays fit each other: a cache may have been made to harm."""
    offsets, first_key, sorted_keys, order = content
    length = len(offsets)
    if length == 0 or offsets.dtype != np.int64 or not isinstance(first_key, int) or not 0 <= first_key < 1 << 62:
        return False
    if sorted_keys is not None and (sorted_keys.dtype != np.int64 or len(sorted_keys) != length):
        return False
    return order is None or (order.dtype == np.uint32 and len(order) == length and int(order.max()) < length)
