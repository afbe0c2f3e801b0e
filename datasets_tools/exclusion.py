"""Identities of an outlier set that may not be used, because they are in the base set too: a list of their labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import sha256_of
from noisebench.noise.manifest import ImageSet
from noisebench.noise.schema import Excluded

MAX_BYTES = 1 << 30
"""Some hundred times a list of all identities of the largest face set; a larger file is something else."""


@dataclass(frozen=True)
class Exclusion:
    """A list of identities, read from a text file: one label a line; blank lines and what follows a ``#`` are skipped.

    Attributes:
        path: The file.
        labels: Labels in the outlier set, int64 [K], in the order of the file.
        lines: The number of each label's line, int64 [K], the first being 1.
    """

    path: Path
    labels: NDArray[np.int64]
    lines: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> Exclusion:
        """Read a list.

        Raises:
            FileError: There is no such file, or a line holds something else than a label; the line is named.
        """
        if not path.is_file():
            raise FileError(path, "no such list of identities")
        if path.stat().st_size > MAX_BYTES:
            raise FileError(path, f"larger than {MAX_BYTES} bytes, so it is no list of identities")
        found: dict[int, int] = {}
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line, text in enumerate(stream, start=1):
                entry = text.partition("#")[0].strip()
                if not entry:
                    continue
                if not (entry.isascii() and entry.isdigit() and len(entry) < 10):
                    raise FileError(path, f"line {line}: found {entry[:40]!r}, expected one label of the outlier set")
                found.setdefault(int(entry), line)
        return cls(path, np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=np.int64))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file."""
        return sha256_of(self.path)

    def recorded(self) -> Excluded:
        """What a manifest says of it."""
        return Excluded(sha256=self.sha256, identities=len(self.labels))

    def usable(self, outliers: ImageSet) -> NDArray[np.int64]:
        """Rows of the outlier set's images whose identities are not in the list, int64 [M].

        Raises:
            FileError: The list names an identity that the outlier set does not have; the line is named.
        """
        unknown = np.flatnonzero(self.labels >= outliers.num_classes)
        if len(unknown):
            label, line = self.labels[unknown[0]], self.lines[unknown[0]]
            problem = f"line {line}: there is no identity {label} in {outliers.folder}"
            raise FileError(
                self.path, f"{problem}, which has {outliers.num_classes}", "give the list made for this set"
            )
        is_excluded = np.zeros(outliers.num_classes, dtype=np.bool_)
        is_excluded[self.labels] = True
        return np.flatnonzero(~is_excluded[outliers.labels])
