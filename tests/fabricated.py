"""Data sets without images, for whatever needs only keys and labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FabricatedSet:
    """Keys and labels as ``noisebench.noise.manifest.ImageSet`` asks for them."""

    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_classes: int
    folder: Path = Path("fabricated")

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.keys.tobytes() + self.labels.tobytes()).hexdigest()

    def reordered(self, order: NDArray[np.int64]) -> FabricatedSet:
        """Some of the records, in another order."""
        return FabricatedSet(self.keys[order], self.labels[order], self.num_classes, self.folder)


def fabricated_set(num_classes: int = 20, *, first_key: int = 1, folder: str = "fabricated") -> FabricatedSet:
    """A set whose classes have from 3 to 13 images; keys count up from ``first_key``."""
    sizes = 3 + 7 * np.arange(num_classes) % 11
    labels = np.repeat(np.arange(num_classes, dtype=np.int32), sizes)
    return FabricatedSet(np.arange(first_key, first_key + len(labels)), labels, num_classes, Path(folder))
