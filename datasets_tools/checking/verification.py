"""Checking a verification file ``.bin``: its pickle, its counts, and every image."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from datasets_tools.checking.decoder import SternDecoder
from datasets_tools.checking.faults import BlockResult, Fault
from noisebench.formats import verification_bin
from noisebench.formats.jpeg import ImageError, size_of

IMAGES_A_BLOCK = 256


class VerificationChecker:
    """Checks a verification file, in blocks of images.

    Args:
        path: The file.

    Attributes:
        content: What is in it.

    Raises:
        FileError: It is no verification file, or its pairs and answers do not belong together.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = verification_bin.read(path)

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self.content.jpegs) // IMAGES_A_BLOCK)

    def check(self, block: int) -> BlockResult:
        """Check the images of a block."""
        first = block * IMAGES_A_BLOCK
        faults = []
        for number, image in enumerate(self.content.jpegs[first : first + IMAGES_A_BLOCK], start=first):
            problem = self._decoder.problem(image, self._image_size)
            if problem is not None:
                faults.append(Fault(self.path.name, self._place(image), number, "image", problem))
        return BlockResult(faults, [])

    @cached_property
    def _image_size(self) -> tuple[int, int] | None:
        """The size all images must have: that of the first whose size can be told."""
        for image in self.content.jpegs:
            try:
                return size_of(image)
            except ImageError:
                continue
        return None

    @cached_property
    def _decoder(self) -> SternDecoder:
        return SternDecoder()

    def _place(self, image: bytes) -> int | None:
        """Where an image is in the file; None if the pickle has not written it in one piece."""
        place = self._data.find(image) if image else -1
        return place if place >= 0 else None

    @cached_property
    def _data(self) -> bytes:
        return self.path.read_bytes()
