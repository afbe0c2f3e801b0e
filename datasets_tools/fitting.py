"""Makes images fit a face set: JPEG of one size. What fits already is copied byte by byte, never encoded again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from noisebench.errors import UserError
from noisebench.formats import jpeg
from noisebench.formats.jpeg import Image

DEFAULT_QUALITY = 95


class Misfit(Exception):  # noqa: N818 - the image is sound, it only differs
    """An image of another size or format than the set's, which was not asked to be encoded again."""


@dataclass(frozen=True)
class Fitting:
    """What images are to be like, and what is done with those that differ.

    Attributes:
        size: Height and width.
        resize: Whether images of other sizes are resized, rather than refused.
        quality: JPEG quality of what is encoded again, 1 to 100; None refuses what is no JPEG, unless ``resize``.
    """

    size: tuple[int, int]
    resize: bool = False
    quality: int | None = None

    def fit(self, encoded: bytes) -> bytes:
        """The image as JPEG of the size.

        Raises:
            ImageError: It cannot be decoded.
            Misfit: It differs, and what to do with it was not said.
        """
        image = jpeg.decode(encoded)
        fits = image.shape[:2] == self.size
        if fits and is_jpeg(encoded):
            return encoded
        if not fits and not self.resize:
            height, width = self.size
            found = "x".join(map(str, image.shape[:2]))
            raise Misfit(f"{found} pixels; expected {height}x{width} (--size {height}x{width} resizes what differs)")
        if fits and self.quality is None and not self.resize:
            raise Misfit(f"no JPEG (--quality {DEFAULT_QUALITY} encodes what is not)")
        return jpeg.encode(image if fits else resized(image, self.size), self.quality or DEFAULT_QUALITY)


def is_jpeg(encoded: bytes) -> bool:
    """Whether it begins as JPEG files do."""
    return encoded.startswith(b"\xff\xd8")


def resized(image: Image, size: tuple[int, int]) -> Image:
    """An image, uint8 [H, W, 3], at another height and width; shrunk by areas, enlarged linearly."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=how), dtype=np.uint8)


def parse_size(text: str) -> tuple[int, int]:
    """Height and width from ``HxW``.

    Raises:
        UserError: It is not that.
    """
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and all(0 < int(n) <= jpeg.MAX_SIDE for n in (height, width))):
        raise UserError(f"--size is '{text}': expected HxW such as 112x112, sides from 1 to {jpeg.MAX_SIDE}")
    return int(height), int(width)


def decoded_size(encoded: bytes) -> tuple[int, int]:
    """Height and width of an image as it is decoded, turned as its EXIF says.

    Raises:
        ImageError: It cannot be decoded.
    """
    height, width = jpeg.decode(encoded).shape[:2]
    return height, width
