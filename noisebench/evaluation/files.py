"""The files of a test set that is a folder: names from lists are not trusted, and all that is read is fingerprinted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from noisebench.errors import FileError
from noisebench.evaluation.embed import LazyImage
from noisebench.formats import jpeg, plain_text
from noisebench.formats.image_files import read_image_file
from noisebench.formats.jpeg import Image, ImageError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")


class SetFolder:
    """A folder of a test set.

    Args:
        root: The folder. No file outside of it is read, whatever a list names and wherever a link leads.

    Raises:
        FileError: There is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FileError(root, "no such folder", "check the path of the test set")
        self.root = root
        self._real = os.path.realpath(root)
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 over the names and bytes of all files read so far, in the order of reading."""
        return self._hash.hexdigest()

    def sha256_with(self, other: SetFolder) -> str:
        """SHA-256 over the names and bytes of all files read so far here and in another folder."""
        return hashlib.sha256(f"{other.sha256} {self.sha256}".encode()).hexdigest()

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name.

        Raises:
            FileError: It leads out of the folder.
        """
        return self._inside(name).is_file()

    def list_bytes(self, name: str) -> bytes:
        """The bytes of a list.

        Raises:
            FileError: It cannot be read, or is too large.
        """
        return self._noted(name, plain_text.read_bytes(self._inside(name)))

    def file_bytes(self, name: str) -> bytes:
        """The bytes of an image or a feature file.

        Raises:
            FileError: It leads out of the folder, cannot be read, or is too large.
        """
        path = self._inside(name)
        try:
            return self._noted(name, read_image_file(path))
        except ImageError as error:
            raise FileError(self.root / name, str(error)) from error

    def images(self, names: Iterable[str]) -> Iterator[LazyImage]:
        """Images, read one after the other and decoded when they are called.

        Raises:
            FileError: One cannot be read or, when called, decoded; its number, from 0, and name are given.
        """
        for number, name in enumerate(names):
            yield partial(self._decoded, number, name, self.file_bytes(name))

    def files(self, folder: str, endings: tuple[str, ...] = IMAGE_ENDINGS) -> list[str]:
        """Names, relative to the root, of all files below a folder with one of the endings, sorted.

        Raises:
            FileError: There is no such folder, or no such file in it.
        """
        top = self._inside(folder)
        if not top.is_dir():
            raise FileError(self.root / folder, "no such folder")
        found = [
            os.path.relpath(os.path.join(parent, file), self._real).replace(os.sep, "/")  # noqa: PTH118 - for a million
            for parent, _, files in os.walk(top)
            for file in files
            if file.lower().endswith(endings)
        ]
        if not found:
            raise FileError(self.root / folder, f"holds no file ending in {', '.join(endings)}")
        return sorted(found)

    def _decoded(self, number: int, name: str, data: bytes) -> Image:
        try:
            return jpeg.decode(data)
        except ImageError as error:
            raise FileError(self.root / name, f"image {number}: {error}") from error

    def _inside(self, name: str) -> Path:
        """The path of a file; never outside of the folder."""
        if "\0" in name:
            raise FileError(self.root, f"a list names {name[:80]!r}, which cannot be a file")
        path = os.path.realpath(os.path.join(self._real, name))  # noqa: PTH118 - half as long as through Path
        if path != self._real and not path.startswith(self._real.rstrip(os.sep) + os.sep):
            raise FileError(self.root, f"a list or a link leads out of the folder: '{name[:200]}'")
        return Path(path)

    def _noted(self, name: str, data: bytes) -> bytes:
        encoded = name.encode("utf-8", "surrogateescape")
        self._hash.update(b"%d %d " % (len(encoded), len(data)) + encoded)
        self._hash.update(data)
        return data
