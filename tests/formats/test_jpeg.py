"""Decoding: pixels, sizes read from headers by hand, and images that are none."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from noisebench.formats import jpeg

GRADIENT = np.stack(np.broadcast_arrays(np.arange(0, 240, 4)[:, None], np.arange(0, 200, 4)[None], 99), axis=-1).astype(
    np.uint8
)


def png(height: int, width: int, pixels: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def with_size(encoded: bytes, height: int, width: int) -> bytes:
    """A JPEG whose frame header tells another size."""
    place = encoded.index(b"\xff\xc0\x00\x11") + 5
    return encoded[:place] + struct.pack(">HH", height, width) + encoded[place + 4 :]


def test_channels_are_red_green_blue() -> None:
    red = np.zeros((16, 16, 3), dtype=np.uint8)
    red[..., 0] = 255
    decoded = jpeg.decode(jpeg.encode(red))
    assert decoded.dtype == np.uint8
    assert decoded[8, 8, 0] > 250
    assert decoded[8, 8, 1:].max() < 5


def test_a_png_is_decoded_exactly() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in GRADIENT)
    np.testing.assert_array_equal(jpeg.decode(png(60, 50, rows)), GRADIENT)


def test_a_jpeg_is_close_to_its_source_and_quality_counts() -> None:
    fine, coarse = jpeg.encode(GRADIENT, quality=98), jpeg.encode(GRADIENT, quality=20)
    assert len(coarse) < len(fine)
    assert np.abs(jpeg.decode(fine).astype(int) - GRADIENT).mean() < 2


def test_grey_images_have_three_channels() -> None:
    encoded = cv2.imencode(".jpg", GRADIENT[:, :, 0])[1].tobytes()
    decoded = jpeg.decode(memoryview(encoded))
    assert decoded.shape == GRADIENT.shape
    assert np.ptp(decoded, axis=2).max() == 0


@pytest.mark.parametrize("progressive", [0, 1])
def test_size_is_read_from_the_header(progressive: int) -> None:
    encoded = cv2.imencode(".jpg", GRADIENT, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    assert jpeg.size_of(encoded) == (60, 50)
    comment = b"\xff\xfe" + struct.pack(">H", 300) + b"\xff\xc0" * 149
    assert jpeg.size_of(encoded[:2] + comment + b"\xff\xff" + encoded[2:]) == (60, 50)


JPEG = jpeg.encode(GRADIENT)


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        (b"", "the image is empty"),
        (b"hello, world", "neither JPEG nor PNG"),
        (b"GIF89a" + bytes(40), "neither JPEG nor PNG"),
        (JPEG[:2], "without a frame header"),
        (JPEG[:40], "without a frame header"),
        (JPEG[: len(JPEG) // 2], "cut short"),
        (JPEG[:-2], "cut short"),
        (b"\xff\xd8" + bytes(200), "without a frame header"),
        (b"\xff\xd8\xff\xda" + bytes(200), "without a frame header"),
        (b"\xff\xd8" + b"\xff" * 200, "without a frame header"),
        (with_size(JPEG, 65_500, 65_500), "65500x65500 pixels; expected sides from 1 to 4096"),
        (with_size(JPEG, 0, 50), "0x50 pixels"),
        (png(60_000, 10), "60000x10 pixels"),
        (png(60, 50), "cannot be decoded"),
    ],
)
def test_what_is_no_image_is_an_error(encoded: bytes, problem: str) -> None:
    with pytest.raises(jpeg.ImageError, match=problem):
        jpeg.decode(encoded)


@pytest.mark.parametrize("threads", [1, 2, 5, 20])
def test_a_batch_equals_its_images(threads: int) -> None:
    images = [jpeg.encode(np.roll(GRADIENT, shift, axis=0)) for shift in range(9)]
    out = np.zeros((9, 60, 50, 3), dtype=np.uint8)
    jpeg.decode_batch(images, out, threads)
    np.testing.assert_array_equal(out, np.stack([jpeg.decode(image) for image in images]))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_bad_image_in_a_batch_is_named_by_its_position(threads: int) -> None:
    out = np.zeros((4, 60, 50, 3), dtype=np.uint8)
    with pytest.raises(jpeg.ImageError, match="cut short") as caught:
        jpeg.decode_batch([JPEG, JPEG, JPEG[:-2], JPEG], out, threads)
    assert caught.value.position == 2
    with pytest.raises(jpeg.ImageError, match="50x60 pixels; expected 60x50") as caught:
        jpeg.decode_batch([JPEG, jpeg.encode(GRADIENT.swapaxes(0, 1)), JPEG, JPEG], out, threads)
    assert caught.value.position == 1
    with pytest.raises(ValueError, match="3 images"):
        jpeg.decode_batch([JPEG] * 3, out, threads)
