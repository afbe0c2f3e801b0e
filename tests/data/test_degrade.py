"""AdaFace's augmentations: drawn as they should be, and equal to slow definitions of what they do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from noisebench.data.degrade import INTERPOLATIONS, Degradations, adjust, degrade

ROWS = np.arange(4000)
ENHANCE = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)


def degraded(
    images: NDArray[np.uint8], rows: NDArray[np.int64], odds: dict[str, float], epoch: int = 0
) -> NDArray[np.uint8]:
    result = images.copy()
    degrade(result, Degradations.model_validate(odds), 7, epoch, rows)
    return result


@pytest.mark.parametrize("what", ["crop", "low_resolution", "photometric"])
def test_each_meets_its_share_of_the_samples(what: str) -> None:
    images = np.broadcast_to(noise(6, 6, 3), (len(ROWS), 6, 6, 3))
    changed = (degraded(images, ROWS, {what: 0.2}) != images).any(axis=(1, 2, 3))
    # A share of 0.2 of 4,000 has a standard deviation of 0.6 points; a low resolution or a crop may change nothing.
    assert 0.15 < changed.mean() < 0.23
    assert (degraded(images[:9], ROWS[:9], {}) == images[:9]).all()


def test_a_samples_draws_depend_on_seed_epoch_and_sample_alone() -> None:
    images = np.broadcast_to(noise(16, 16, 3), (40, 16, 16, 3))
    odds = {"crop": 0.5, "low_resolution": 0.5, "photometric": 0.5}
    whole = degraded(images, ROWS[:40], odds)
    parts = [degraded(images[:20], rows, odds) for rows in (ROWS[20:40], ROWS[:20])]
    np.testing.assert_array_equal(whole, np.concatenate(parts[::-1]))
    assert (degraded(images, ROWS[:40], odds, epoch=1) != whole).any()


def test_a_crop_keeps_one_box_in_place_on_black() -> None:
    images = np.broadcast_to(noise(24, 32, 3), (len(ROWS), 24, 32, 3))
    boxes = []
    for image, original in zip(degraded(images, ROWS, {"crop": 1.0}), images, strict=True):
        kept = image.any(axis=2)
        top, left = np.argmax(kept.any(axis=1)), np.argmax(kept.any(axis=0))
        height, width = kept.any(axis=1).sum(), kept.any(axis=0).sum()
        box = (slice(top, top + height), slice(left, left + width))
        assert kept[box].all()
        assert kept.sum() == height * width
        np.testing.assert_array_equal(image[box], original[box])
        boxes.append((height, width, top, left))
    heights, widths, tops, lefts = np.array(boxes).T
    areas, ratios = heights * widths / (24 * 32), widths / heights
    assert 0.18 < areas.min() < 0.22  # rounded to whole pixels
    assert areas.max() > 0.9
    assert 0.7 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.45
    assert (tops + heights).max() == 24
    assert (lefts + widths).max() == 32
    assert tops.min() == lefts.min() == 0


def test_a_low_resolution_is_a_square_of_some_side_resized_twice() -> None:
    image = noise(20, 24, 3)
    possible = {
        cv2.resize(cv2.resize(image, (side, side), interpolation=down), (24, 20), interpolation=up).tobytes()
        for side in range(4, 20)
        for down in INTERPOLATIONS
        for up in INTERPOLATIONS
    }
    found = degraded(np.broadcast_to(image, (len(ROWS), 20, 24, 3)), ROWS, {"low_resolution": 1.0})
    seen = {one.tobytes() for one in found}
    assert seen <= possible
    assert len(seen) > 0.9 * len(possible)


@pytest.mark.parametrize("step", ENHANCE)
def test_adjusting_equals_pillow_to_the_bit(step: str) -> None:
    for number, factor in enumerate(np.linspace(0.5, 1.5, 41)):
        image = noise(17, 23, 3, seed=number)
        expected = np.asarray(ENHANCE[step](Image.fromarray(image)).enhance(float(factor)))
        np.testing.assert_array_equal(adjust(image, step, float(factor)), expected)


def test_photometric_jitter_spans_its_range_and_its_orders() -> None:
    grey = np.full((len(ROWS), 2, 2, 3), 100, dtype=np.uint8)  # has neither contrast nor colour to change
    levels = degraded(grey, ROWS, {"photometric": 1.0})[:, 0, 0, 0]
    assert levels.min() == 50
    assert levels.max() in (149, 150)
    assert abs(np.median(levels) - 100) < 3


def test_swapped_luminance_is_the_jitter_of_the_image_seen_as_bgr() -> None:
    images = np.broadcast_to(noise(8, 8, 3), (50, 8, 8, 3))
    swapped = images.copy()
    degrade(swapped, Degradations(photometric=1.0, luminance="bgr"), 7, 0, ROWS[:50])
    as_bgr = degraded(images[..., ::-1], ROWS[:50], {"photometric": 1.0})[..., ::-1]
    np.testing.assert_array_equal(swapped, as_bgr)
    assert (swapped != degraded(images, ROWS[:50], {"photometric": 1.0})).any()


def test_odds_lie_between_0_and_1() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Degradations(crop=1.2)
