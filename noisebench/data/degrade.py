"""AdaFace's augmentations: a crop pasted on black, a low resolution, and photometric jitter, each with its own odds.

Source: Kim, Jain and Liu, "AdaFace: Quality Adaptive Margin for Face Recognition", CVPR 2022, section 4.1, with the
parameters of its released code. They are applied in this order, before mirroring. Which samples meet which of them, and
how strongly, is drawn by counter from (seed, epoch, sample): the same for any number of ranks or threads.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from noisebench.config import Settings
from noisebench.noise.counter import below, bits

CROP_AREA = (0.2, 1.0)
"""Share of the image's area."""
CROP_RATIO = (3 / 4, 4 / 3)
"""Width over height, uniform in its logarithm."""
CROP_ATTEMPTS = 10
LOW_SIDE = (0.2, 1.0)
"""Share of the image's side."""
INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
JITTER = (0.5, 1.5)
"""Of brightness, contrast and saturation; 1 changes nothing."""
_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)  # of red, green and blue in ITU-R 601-2, times 2^16
_GREYS = np.arange(256, dtype=np.float32)

Image = NDArray[np.uint8]


class Degradations(Settings):
    """How often a training image is degraded; AdaFace's published scripts use 0.2 for each."""

    crop: float = Field(default=0.0, ge=0, le=1, description="Probability of a crop pasted back on black.")
    low_resolution: float = Field(default=0.0, ge=0, le=1, description="Probability of shrinking and enlarging.")
    photometric: float = Field(default=0.0, ge=0, le=1, description="Probability of photometric jitter.")
    luminance: Literal["rgb", "bgr"] = Field(
        default="rgb",
        description="Order in which photometric jitter weighs the colours; bgr swaps the weights of red and blue, as"
        " AdaFace's code does, whose images are BGR while its functions assume RGB.",
    )

    @property
    def none(self) -> bool:
        """Whether no image is ever degraded."""
        return not (self.crop or self.low_resolution or self.photometric)


def degrade(images: Image, settings: Degradations, seed: int, epoch: int, rows: NDArray[np.int64]) -> None:
    """Degrade some images of a batch, in place.

    Args:
        images: RGB, uint8 [B, H, W, 3].
        settings: How often.
        seed: Named seed.
        epoch: Counted from 0; each draws anew.
        rows: Which samples they are, [B].
    """
    if settings.none:
        return
    draws = _Draws(seed, epoch, rows)
    for position in draws.chosen("crop", settings.crop):
        _crop(images[position], draws, position)
    for position in draws.chosen("low resolution", settings.low_resolution):
        _lower_resolution(images[position], draws, position)
    weights = _LUMA if settings.luminance == "rgb" else _LUMA[::-1]
    for position in draws.chosen("photometric", settings.photometric):
        _jitter(images[position], weights, draws, position)


class _Draws:
    """Random numbers of the samples of a batch, by name and by the sample's place in the batch."""

    def __init__(self, seed: int, epoch: int, rows: NDArray[np.int64]) -> None:
        self.seed, self.epoch, self.rows = seed, epoch, rows

    def chosen(self, what: str, probability: float) -> list[int]:
        """Places of the samples to which something happens."""
        return np.flatnonzero(self._uniform(what, self.rows) < probability).tolist() if probability else []

    def uniform(self, what: str, position: int, low: float, high: float) -> float:
        """A number in [low, high)."""
        return float(low + (high - low) * self._uniform(what, self.rows[position : position + 1])[0])

    def below(self, what: str, position: int, n: int) -> int:
        """An integer in [0, n)."""
        return int(below(self.seed, f"{what}/{self.epoch}", self.rows[position : position + 1], n)[0])

    def _uniform(self, what: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return (bits(self.seed, f"{what}/{self.epoch}", rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _crop(image: Image, draws: _Draws, position: int) -> None:
    """Blacken all but a part of random area, proportions and place."""
    top, left, height, width = _crop_box(image.shape[0], image.shape[1], draws, position)
    part = image[top : top + height, left : left + width].copy()
    image[:] = 0
    image[top : top + height, left : left + width] = part


def _crop_box(image_height: int, image_width: int, draws: _Draws, position: int) -> tuple[int, int, int, int]:
    """Top, left, height and width, drawn as torchvision's RandomResizedCrop does: again where the part is too large."""
    for attempt in range(CROP_ATTEMPTS):
        area = image_height * image_width * draws.uniform(f"crop area {attempt}", position, *CROP_AREA)
        bounds = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
        ratio = math.exp(draws.uniform(f"crop ratio {attempt}", position, *bounds))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= image_width and 0 < height <= image_height:
            top = draws.below(f"crop top {attempt}", position, image_height - height + 1)
            left = draws.below(f"crop left {attempt}", position, image_width - width + 1)
            return top, left, height, width
    # The largest central part of proportions that are allowed.
    width = min(image_width, round(image_height * CROP_RATIO[1]))
    height = min(image_height, round(image_width / CROP_RATIO[0]))
    return (image_height - height) // 2, (image_width - width) // 2, height, width


def _lower_resolution(image: Image, draws: _Draws, position: int) -> None:
    """Shrink an image to a square of a random share of its height, and enlarge it again."""
    side = max(1, int(draws.uniform("low side", position, *LOW_SIDE) * image.shape[0]))
    down, up = (
        INTERPOLATIONS[draws.below(f"{way} interpolation", position, len(INTERPOLATIONS))] for way in ("down", "up")
    )
    small = cv2.resize(image, (side, side), interpolation=down)
    image[:] = cv2.resize(small, image.shape[1::-1], interpolation=up)


def _jitter(image: Image, weights: NDArray[np.uint32], draws: _Draws, position: int) -> None:
    """Change brightness, contrast and saturation, each by a factor of its own, in random order."""
    steps = ["brightness", "contrast", "saturation"]
    for number in range(len(steps)):
        step = steps.pop(draws.below(f"photometric order {number}", position, len(steps)))
        factor = draws.uniform(step, position, *JITTER)
        image[:] = adjust(image, step, factor, weights)


def adjust(image: Image, step: str, factor: float, weights: NDArray[np.uint32] = _LUMA) -> Image:
    """Brightness, contrast or saturation of an image times a factor, equal to Pillow's ``ImageEnhance`` to the bit.

    The result lies on the line from a poorer image (black; even grey of the mean luminance; grey of each pixel's
    luminance) through the image itself, at the factor.

    Args:
        image: uint8 [H, W, 3].
        step: ``"brightness"``, ``"contrast"`` or ``"saturation"``.
        factor: 1 changes nothing.
        weights: Of the three channels in the luminance, uint32 [3], of a sum of 2^16.
    """
    if step == "brightness":
        return np.asarray(cv2.LUT(image, _blend(np.float32(0), _GREYS, factor)), dtype=np.uint8)
    luminance = ((image.astype(np.uint32) @ weights + np.uint32(1 << 15)) >> np.uint32(16)).astype(np.uint8)
    if step == "contrast":
        mean = np.float32(int(luminance.mean(dtype=np.float64) + 0.5))
        return np.asarray(cv2.LUT(image, _blend(mean, _GREYS, factor)), dtype=np.uint8)
    return _blend(luminance[..., None].astype(np.float32), image.astype(np.float32), factor)


def _blend(poorer: NDArray[np.float32] | np.float32, image: NDArray[np.float32], factor: float) -> Image:
    mixed = poorer + np.float32(factor) * (image - poorer)
    return np.clip(mixed, 0, 255).astype(np.uint8)
