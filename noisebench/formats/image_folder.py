"""A training set that is a folder of images, one folder an identity: ``identity/image.jpg``, trained on as it lies.

Identities and images are taken in the byte order of their names, so labels and keys, which both count from 0, are the
same on every file system. ``noisebench data import`` gives the same labels.
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
from tqdm import tqdm

from noisebench.errors import FileError
from noisebench.formats.image_files import ENDINGS, read_image_file
from noisebench.formats.jpeg import Encoded, ImageError, size_of
from noisebench.formats.listing import Listing, Texts, as_text
from noisebench.formats.training_set import TrainingSet

DECODABLE = r"\.(jpe?g|png)$"
_AT_ONCE = 1 << 16
_EXPECTED = "expected one folder an identity, with images in it"


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
        listing = list_images(folder)
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


def list_images(folder: Path) -> Listing:
    """Find the images of a folder.

    Links to files and folders are followed, but nothing deeper than the images: a loop of links has no end to reach.

    Raises:
        FileError: It cannot be read, or images do not lie in identities' folders.
    """
    top = os.fsencode(folder)
    paths = Texts()
    labels: list[NDArray[np.int32]] = []
    identities: list[str] = []
    try:
        for identity in tqdm(_identities(folder), desc="listing", unit="identity", delay=2, disable=None):
            images = sorted(entry.name for entry in os.scandir(top + b"/" + identity) if _is_image(entry.name))
            for image in images:
                paths.append(identity + b"/" + image)
            if images:
                labels.append(np.full(len(images), len(identities), dtype=np.int32))
                identities.append(identity.decode("utf-8", "backslashreplace"))
    except OSError as error:
        raise FileError(os.fsdecode(error.filename), f"cannot be read: {error.strerror}", _EXPECTED) from error
    if not identities:
        raise FileError(folder, "no image in any folder of it", _EXPECTED)
    files = paths.finish()

    def read(place: int) -> bytes:
        return read_image_file(os.fsdecode(top + b"/" + files[place].as_py()))

    return Listing(as_text(files), np.concatenate(labels), identities, read)


def _identities(folder: Path) -> list[bytes]:
    """The names of the identities' folders, in order."""
    names = []
    for entry in sorted(os.scandir(os.fsencode(folder)), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith(b"."):
            names.append(entry.name)
        elif _is_image(entry.name):
            raise FileError(Path(os.fsdecode(entry.path)), "an image outside of any identity's folder", _EXPECTED)
    return names


def _is_image(name: bytes) -> bool:
    return not name.startswith(b".") and name.rpartition(b".")[2].lower().decode("ascii", "replace") in ENDINGS


def _num_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half as long as through Path, for millions of files
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
