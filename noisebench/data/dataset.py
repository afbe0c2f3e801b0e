"""Training images and labels exactly as a noise manifest says, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisebench.data.kept_images import KeptImages
from noisebench.formats.training_set import TrainingSet
from noisebench.noise.manifest import Manifest
from noisebench.noise.per_batch import NO_OUTLIER, Exposures
from noisebench.noise.schema import FROM_BASE, FROM_OUTLIERS, OPEN

UNKNOWN_IDENTITY = -1
"""True label of an open-set sample: nobody in the training set."""


@dataclass(frozen=True)
class NoisyFaces:
    """Rows of a manifest, with the record sets their images are read from.

    Args:
        base: The set the manifest was made for.
        outliers: The set its open-set images come from, if there are any.
        manifest: What each row shows, and the label it is trained with.

    Raises:
        FileError: The manifest was made for other data.
    """

    base: TrainingSet
    outliers: TrainingSet | None
    manifest: Manifest

    def __post_init__(self) -> None:
        self.manifest.check_against(self.base, self.outliers)

    def __len__(self) -> int:
        return len(self.manifest.label)

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels to train with, [B]."""
        return self.manifest.label[rows].astype(np.int64)

    def true_labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Whom the images show, [B]; ``UNKNOWN_IDENTITY`` for open-set samples. For logs only."""
        is_open = self.manifest.kind[rows] == OPEN
        return np.where(is_open, UNKNOWN_IDENTITY, self.manifest.true_label[rows]).astype(np.int64)

    def sources(
        self, rows: NDArray[np.int64], exposures: Exposures | None = None
    ) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Where the images come from: a manifest's ``source`` and ``source_index``, [B] each."""
        source, key = self.manifest.source[rows], self.manifest.source_index[rows]
        if exposures is None:
            return source, key
        is_outlier = exposures.outlier_index != NO_OUTLIER
        return (
            np.where(is_outlier, np.int8(FROM_OUTLIERS), source),
            np.where(is_outlier, exposures.outlier_index, key),
        )

    def images(self, rows: NDArray[np.int64], threads: int, exposures: Exposures | None = None) -> NDArray[np.uint8]:
        """Decoded RGB images, [B, H, W, 3].

        Args:
            rows: Manifest rows, [B].
            threads: Decoding threads.
            exposures: What noise by batch does to the samples this time, where there is any.

        Raises:
            FileError: A record cannot be read or decoded, or has another size; it is named. Outliers may have any size
                if the recipe says that they are unaligned: they are resized.
        """
        if exposures is None and self._kept is not None:
            return self._kept.images(rows, lambda new: self._decode(new, threads, None))
        return self._decode(rows, threads, exposures)

    @cached_property
    def _kept(self) -> KeptImages | None:
        return KeptImages.if_small(len(self), self.base.image_size)

    def _decode(self, rows: NDArray[np.int64], threads: int, exposures: Exposures | None) -> NDArray[np.uint8]:
        unaligned = self.manifest.origin.recipe.open.rendering == "unaligned"
        images = np.empty((len(rows), *self.base.image_size, 3), dtype=np.uint8)
        source, key = self.sources(rows, exposures)
        for code, faces in ((FROM_BASE, self.base), (FROM_OUTLIERS, self.outliers)):
            chosen = np.flatnonzero(source == code)
            if chosen.size:
                assert faces is not None, "check_against admits open-set rows only with an outlier set"
                part = np.empty((len(chosen), *images.shape[1:]), dtype=np.uint8)
                faces.read_images(key[chosen].tolist(), part, threads, resize=unaligned and code == FROM_OUTLIERS)
                images[chosen] = part
        return images
