"""A training set that is a folder of images, one folder an identity: ``identity/image.jpg``, trained on as it lies.

Labels are those that ``noisebench data import`` would give. An image's key is its place in the byte order of identity
and file name, counted from 0.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from datasets_tools.importers import folder as image_folder
from datasets_tools.importers._listing import Listing, Options
from noisebench.errors import FileError
from noisebench.formats.jpeg import Encoded, ImageError, size_of
from noisebench.formats.training_set import TrainingSet

DECODABLE = r"\.(jpe?g|png)$"
_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class ImageFolder(TrainingSet):
    """The images of a folder. See `TrainingSet` for the other attributes.

    Attributes:
        listing: Names and labels of the images.
    """

    folder: Path
    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_classes: int
    image_size: tuple[int, int]
    listing: Listing = field(repr=False)

    @classmethod
    def open(cls, folder: Path) -> ImageFolder:
        """List the images of a folder; of them all, only the first is opened, whose size stands for all.

        Raises:
            FileError: There is no image, one lies outside of an identity's folder, is neither JPEG nor PNG, or the
                first cannot be read.
        """
        listing = image_folder.list_images([folder], Options())
        strange = pc.index(pc.match_substring_regex(listing.names, DECODABLE, ignore_case=True), False).as_py()
        if strange >= 0:
            remedy = f"convert it, or import the folder: noisebench data import {folder}"
            raise FileError(folder / listing.names[strange].as_py(), "neither JPEG nor PNG", remedy)
        try:
            image_size = size_of(listing.read(0))
        except ImageError as error:
            raise FileError(folder / listing.names[0].as_py(), f"the image is unusable: {error}") from error
        keys = np.arange(len(listing.labels), dtype=np.int64)
        return cls(folder, keys, listing.labels, len(listing.identities), image_size, listing)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal over the names of the images, their labels and the sizes of their files."""
        digest = hashlib.sha256(self.listing.digest.encode())
        names, top = self.listing.names, str(self.folder)
        for first in range(0, len(names), _AT_ONCE):
            paths = [f"{top}/{name}" for name in names[first : first + _AT_ONCE].to_pylist()]
            digest.update(np.array([_num_bytes(path) for path in paths], dtype="<i8").tobytes())
        return digest.hexdigest()

    def jpeg(self, key: int) -> Encoded:
        """See `TrainingSet`."""
        if not 0 <= key < len(self.keys):
            raise FileError(self.folder, f"has no image {key}: expected 0 to {len(self.keys) - 1}")
        try:
            return self.listing.read(key)
        except ImageError as error:
            raise self._unusable(key, error) from error

    def fault(self, key: int, problem: str) -> FileError:
        """See `TrainingSet`."""
        return FileError(self.folder / self.listing.names[key].as_py(), problem)

    def check_labels(self, progress: Callable[[int], object] | None = None) -> None:
        """Nothing to compare: an image's folder is its identity."""
        if progress:
            progress(len(self.keys))


def _num_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half as long as through Path, for millions of files
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
