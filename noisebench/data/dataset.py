"""Training images and labels exactly as a noise manifest says, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats.face_set import FaceSet
from noisebench.formats.jpeg import decode_batch
from noisebench.noise.manifest import Manifest

OUTLIER_SOURCE = 1
"""The manifest's ``source`` of a record that is read from the outlier set."""

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

    base: FaceSet
    outliers: FaceSet | None
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
        is_open = self.manifest.source[rows] == OUTLIER_SOURCE
        return np.where(is_open, UNKNOWN_IDENTITY, self.manifest.true_label[rows]).astype(np.int64)

    def images(self, rows: NDArray[np.int64], threads: int) -> NDArray[np.uint8]:
        """Decoded RGB images, [B, H, W, 3].

        Raises:
            FileError: A record cannot be read or decoded, or has another size; it is named.
        """
        height, width = self.base.image_size
        images = np.empty((len(rows), height, width, 3), dtype=np.uint8)
        sources = [self._source(int(row)) for row in rows]
        try:
            decode_batch([faces.jpeg(key) for faces, key in sources], images, threads=threads)
        except ValueError as error:
            raise self._first_fault(sources, images.shape[1:]) from error
        return images

    def _source(self, row: int) -> tuple[FaceSet, int]:
        if self.manifest.source[row] == OUTLIER_SOURCE:
            assert self.outliers is not None, "check_against admits open-set rows only with an outlier set"
            return self.outliers, int(self.manifest.source_index[row])
        return self.base, int(self.manifest.source_index[row])

    def _first_fault(self, sources: list[tuple[FaceSet, int]], shape: tuple[int, ...]) -> FileError:
        """Find the record a batch failed on, and say what is wrong with it."""
        for faces, key in sources:
            problem = ""
            try:
                found = faces.image(key).shape
                if found != shape:
                    problem = f"is {found[0]}x{found[1]} pixels, expected {shape[0]}x{shape[1]}"
            except ValueError as error:
                problem = str(error)
            if problem:
                return FileError(faces.folder / "train.rec", f"record {key}: {problem}", "check the set")
        raise AssertionError("a batch failed to decode, but each of its records decodes alone")
