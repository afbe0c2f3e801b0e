"""Which record has which name, for millions of images: of a name only a digest is kept, which takes less memory."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.list_rows import as_key, rows_of
from noisebench.errors import FileError

_SIZE = 16  # bytes, so many that two names never have the same digest


class Digests:
    """Digests of names, gathered one by one."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def append(self, name: str) -> None:
        """Add a name."""
        self._bytes += hashlib.blake2b(name.encode(), digest_size=_SIZE).digest()

    def finish(self) -> NDArray[np.bytes_]:
        """All that were added, [N]."""
        return np.frombuffer(self._bytes, dtype=f"S{_SIZE}")


@dataclass(frozen=True)
class KeyNames:
    """The names of records.

    Attributes:
        digests: Of the names, [N], ascending.
        keys: The records' keys, int64 [N].
    """

    digests: NDArray[np.bytes_]
    keys: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> KeyNames:
        """Read a list of which key has which name: the key first, the name last, such as an im2rec .lst.

        Raises:
            FileError: It is missing, no such list, or gives two records one name; the line is named.
        """
        names, numbers = Digests(), array("q")
        for line, fields in tqdm(rows_of(path), desc="reading the names", unit="line", delay=2, disable=None):
            if len(fields) < 2:
                problem = f"line {line}: {len(fields)} column, expected a record's key first and its name last"
                raise FileError(path, problem)
            numbers.append(as_key(path, line, fields[0]))
            names.append(fields[-1])
        if not numbers:
            raise FileError(path, "names no image", "expected a record's key first and its name last")
        digests, keys = names.finish(), np.frombuffer(numbers, dtype=np.int64)
        order = np.argsort(digests, kind="stable")
        digests, keys = digests[order], keys[order]
        twice = np.flatnonzero((digests[1:] == digests[:-1]) & (keys[1:] != keys[:-1]))
        if len(twice):
            second = int(twice[np.argmin(order[twice + 1])])
            line, fields = next(islice(rows_of(path), int(order[second + 1]), None))
            problem = f"line {line}: the name {fields[-1][:80]!r} is that of record {keys[second]}, and now of record"
            raise FileError(path, f"{problem} {keys[second + 1]}", "give every image a name of its own")
        return cls(digests, keys)

    def keys_of(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """The keys of the records with these names, int64 [K]; -1 where there is none."""
        places = np.minimum(np.searchsorted(self.digests, digests), len(self.keys) - 1)
        return np.where(self.digests[places] == digests, self.keys[places], -1)
