"""Several training sets as one, with their identities kept apart: nobody is taken to be in two of them.

The identities of the second set follow those of the first, and so on. The key of an image is its key in its own set
plus 10^12 times the number of that set, counted from 0, so 2000000000007 is image 7 of the third.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats.jpeg import Encoded, Image
from noisebench.formats.training_set import TrainingSet

KEYS_A_SET = 10**12


@dataclass(frozen=True, eq=False)
class JoinedSets(TrainingSet):
    """Sets one after the other. See `TrainingSet` for the other attributes.

    Attributes:
        sets: The sets that are joined, all of one image size.
    """

    folder: Path
    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_classes: int
    image_size: tuple[int, int]
    sets: Sequence[TrainingSet] = field(repr=False)

    @classmethod
    def of(cls, folder: Path, sets: Sequence[TrainingSet]) -> JoinedSets:
        """Join sets.

        Args:
            folder: What the whole is called.
            sets: At least one.

        Raises:
            FileError: One is joined with itself, has images of another size than the first, or keys too large.
        """
        for number, one in enumerate(sets):
            _check(one, sets[:number])
        num_classes = [one.num_classes for one in sets]
        first_labels = np.cumsum([0, *num_classes[:-1]], dtype=np.int32)
        return cls(
            folder=folder,
            keys=np.concatenate([one.keys + number * KEYS_A_SET for number, one in enumerate(sets)]),
            labels=np.concatenate([one.labels + first for one, first in zip(sets, first_labels, strict=True)]),
            num_classes=sum(num_classes),
            image_size=sets[0].image_size,
            sets=tuple(sets),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal over fingerprints and numbers of identities of the sets, in their order."""
        parts = [f"{one.fingerprint} {one.num_classes}\n" for one in self.sets]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def jpeg(self, key: int) -> Encoded:
        """See `TrainingSet`."""
        one, own_key = self._find(key)
        return one.jpeg(own_key)

    def decode(self, encoded: Encoded) -> Image:
        """See `TrainingSet`; all sets are read alike."""
        return self.sets[0].decode(encoded)

    def fault(self, key: int, problem: str) -> FileError:
        """See `TrainingSet`."""
        one, own_key = self._find(key)
        return one.fault(own_key, problem)

    def check_labels(self, progress: Callable[[int], object] | None = None) -> None:
        """See `TrainingSet`."""
        for one in self.sets:
            one.check_labels(progress)

    def _find(self, key: int) -> tuple[TrainingSet, int]:
        number, own_key = divmod(int(key), KEYS_A_SET)
        if not 0 <= number < len(self.sets):
            raise FileError(self.folder, f"has no image {key}: {len(self.sets)} sets are joined here")
        return self.sets[number], own_key


def _check(one: TrainingSet, before: Sequence[TrainingSet]) -> None:
    if any(one.folder.resolve() == other.folder.resolve() for other in before):
        raise FileError(one.folder, "is joined with itself", "name each data set once")
    if before and one.image_size != before[0].image_size:
        found, expected = ("x".join(map(str, size)) for size in (one.image_size, before[0].image_size))
        problem = f"images of {found} pixels cannot be joined with those of {before[0].folder}, {expected}"
        raise FileError(one.folder, problem, "import one of them at the size of the other: noisebench data import")
    if int(one.keys.max()) >= KEYS_A_SET:
        raise FileError(one.folder, f"key {one.keys.max()} is too large to join", f"expected less than {KEYS_A_SET}")
