"""Encoded images: JPEG (and PNG) to RGB pixels and back, by OpenCV.

The pixels equal those of MXNet's ``imdecode``: the accurate inverse transform, never ``fastdct``, and turned by EXIF
just where MXNet does. An encoded image is not trusted: its size is read from its header before a decoder sees it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_SIDE = 4096

Encoded: TypeAlias = bytes | memoryview
Image: TypeAlias = NDArray[np.uint8]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, less DHT, JPG and DAC
_BARE_MARKERS = {0x01, *range(0xD0, 0xD8)}  # TEM and RST0 to RST7 have no length
_START_OF_SCAN = 0xDA


class ImageError(ValueError):
    """An encoded image that cannot be used.

    Attributes:
        position: Its place in the batch that was asked for, 0 for a single image.
    """

    def __init__(self, problem: str, position: int = 0) -> None:
        super().__init__(problem)
        self.position = position


def size_of(encoded: Encoded) -> tuple[int, int]:
    """Height and width of an encoded image, from its header alone.

    Raises:
        ImageError: It is neither JPEG nor PNG, is cut short, or a side is 0 or above ``MAX_SIDE``.
    """
    data = bytes(encoded)
    if data.startswith(_START_OF_IMAGE):
        height, width = _jpeg_size(data)
    elif data.startswith(_PNG_SIGNATURE) and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
    else:
        raise ImageError(f"neither JPEG nor PNG: it begins with {data[:8]!r}" if data else "the image is empty")
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ImageError(f"{height}x{width} pixels; expected sides from 1 to {MAX_SIDE}")
    return height, width


def decode(encoded: Encoded) -> Image:
    """Decode an image.

    Returns:
        RGB, uint8 [H, W, 3].

    Raises:
        ImageError: As ``size_of``, or the decoder refuses the image.
    """
    size_of(encoded)
    try:
        flags = cv2.IMREAD_COLOR if _begins_with_exif(encoded) else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        bgr = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ImageError("the decoder refuses it: " + " ".join(str(error).split())) from error
    if bgr is None:
        raise ImageError("damaged or cut short: it cannot be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def encode(rgb: Image, quality: int = 95) -> bytes:
    """Encode RGB pixels, uint8 [H, W, 3], as JPEG of a quality from 1 to 100."""
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise ValueError(f"cannot encode an image of shape {rgb.shape}")
    return data.tobytes()


def decode_batch(
    images: Sequence[Encoded], out: Image, threads: int = 1, decoder: Callable[[Encoded], Image] = decode
) -> None:
    """Decode a batch straight into one array, by several threads.

    Args:
        images: B encoded images, all of the same size.
        out: Where the RGB pixels go, uint8 [B, H, W, 3].
        threads: How many threads share the work.
        decoder: What decodes one image.

    Raises:
        ImageError: An image cannot be decoded or is not H x W; its ``position`` says which.
    """
    if len(images) != len(out):
        raise ValueError(f"{len(images)} images do not fill an array of {len(out)}")

    def decode_every(first: int) -> None:
        for position in range(first, len(images), threads):
            try:
                image = decoder(images[position])
            except ImageError as error:
                raise ImageError(str(error), position) from error
            if image.shape != out.shape[1:]:
                found, expected = ("x".join(map(str, shape[:2])) for shape in (image.shape, out.shape[1:]))
                raise ImageError(f"{found} pixels; expected {expected}", position)
            out[position] = image

    if threads == 1:
        decode_every(0)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(decode_every, range(threads)))


def resized(decoder: Callable[[Encoded], Image], height: int, width: int) -> Callable[[Encoded], Image]:
    """A decoder whose images are all of one size: others are stretched or squeezed to it, whatever their shape.

    Bilinearly and with no smoothing before, OpenCV's default, as BoundaryFace's loader does with its outliers: an image
    much larger than that is thinned out rather than averaged.
    """

    def decode_to_size(encoded: Encoded) -> Image:
        image = decoder(encoded)
        if image.shape[:2] == (height, width):
            return image
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    return decode_to_size


def _begins_with_exif(encoded: Encoded) -> bool:
    """Whether EXIF is a JPEG's first segment: only there does MXNet's decoder find an orientation."""
    return bytes(encoded[2:4]) == b"\xff\xe1"


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width from a JPEG's frame header (ITU-T T.81, B.2.2), which comes before any pixels."""
    place = len(_START_OF_IMAGE)
    while place + 9 <= len(data):
        if data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker == 0xFF:  # any number of these may stand before a marker
            place += 1
        elif marker in _BARE_MARKERS:
            place += 2
        elif marker in _FRAME_MARKERS:
            # Some versions of the decoder would fill a missing end with grey.
            if data.find(_END_OF_IMAGE, place) < 0:
                raise ImageError("cut short: a JPEG without its end")
            height, width = struct.unpack_from(">HH", data, place + 5)
            return height, width
        elif marker == _START_OF_SCAN:
            break
        else:
            place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
    raise ImageError("a JPEG without a frame header before its pixels, damaged or cut short")
