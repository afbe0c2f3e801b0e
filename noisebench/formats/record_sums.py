"""A checksum for each record of a ``.rec`` file, in ``train.sums`` beside it: CRC-32 of the whole payload.

RecordIO itself has no checksums. Where this file is, every record that is read is compared with it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.formats import checked_arrays

_KIND = "record sums, version 1"


@dataclass(frozen=True, eq=False)
class RecordSums:
    """Checksums of records.

    Attributes:
        path: The ``.sums`` file.
        keys: int64 [N], ascending.
        sums: uint32 [N].
    """

    path: Path
    keys: NDArray[np.int64]
    sums: NDArray[np.uint32]

    @classmethod
    def read(cls, path: Path) -> RecordSums | None:
        """Read the checksums; None if there is no such file.

        Raises:
            FileError: The file is damaged.
        """
        if not path.exists():
            return None
        try:
            _, arrays = checked_arrays.read(path, _KIND)
            keys, sums = arrays["keys"], arrays["sums"]
            if len(keys) != len(sums) or keys.dtype != np.int64 or sums.dtype != np.uint32:
                raise ValueError("its arrays do not fit each other")
        except OSError as error:
            raise FileError(path, f"cannot be read: {error.strerror}", "check its permissions, or remove it") from error
        except (ValueError, KeyError) as error:
            remedy = "remove it, and write it again: noisebench data verify FOLDER --write-sums"
            raise FileError(path, f"no checksums of records, or damaged: {error}", remedy) from error
        return cls(path, keys, sums)

    @classmethod
    def write(cls, path: Path, keys: NDArray[np.int64], sums: NDArray[np.uint32]) -> None:
        """Write checksums, [N] each, of keys in any order; whole or not at all.

        Raises:
            FileError: The file cannot be written.
        """
        order = np.argsort(keys, kind="stable")
        with whole_file(path) as temporary:
            checked_arrays.write(temporary, _KIND, {}, {"keys": keys[order], "sums": sums[order]})

    def matches(self, key: int, payload: bytes | memoryview) -> bool:
        """Whether a payload is the one the checksum of a key was written for. False if the key has none."""
        place = int(self.keys.searchsorted(key))
        return place < len(self.keys) and bool(self.keys[place] == key) and zlib.crc32(payload) == self.sums[place]
