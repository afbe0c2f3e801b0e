"""The renderer against what geometry and light demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from datasets_tools.face_model import Capture, Identity
from datasets_tools.face_population import draw_capture, draw_identity
from datasets_tools.face_renderer import Head


def generator(number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(number))


def array(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def symmetric_person(number: int = 1) -> Identity:
    """Someone whose left is the mirror image of the right."""
    even = np.full((8, 8), 0.5, np.float32)
    return replace(
        draw_identity(generator(number)),
        mottling=even, freckles=even, strands=even, freckled=0.0, fringe=0.0, parting=0.0,
        moles=np.zeros((0, 3), np.float32), hair_length=0.3,
    )  # fmt: skip


def studio(**changes: object) -> Capture:
    """A sharp frontal photograph under a light from the front, before an even wall."""
    capture = replace(
        draw_capture(generator(2)),
        yaw=0.0, pitch=0.0, roll=0.0, scale=1.0, shift=np.zeros(2, np.float32), light=array(0, 0, 1), ambient=0.4,
        exposure=1.0, contrast=1.0, smile=0.0, mouth_opening=0.0, eyelids=1.0, brow_raise=0.0, gaze=array(0, 0),
        glasses=-1.0, scarf=9.0, bar=np.zeros(4, np.float32), background=np.full((3, 5, 5), 0.2, np.float32),
        blur=0.0, resolution=1.0, noise=0.0,
    )  # fmt: skip
    return replace(capture, **changes)  # type: ignore[arg-type]


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.asarray(np.abs(one.astype(np.int64) - other))


@pytest.mark.parametrize("yaw", [0.0, 0.2, 0.5])
def test_a_head_turned_left_is_the_mirror_image_of_one_turned_right(yaw: float) -> None:
    head = Head(symmetric_person())
    left, right = head.photograph(studio(yaw=yaw)), head.photograph(studio(yaw=-yaw))
    assert difference(left, right[:, ::-1]).max() <= 2
    if yaw:
        assert difference(left, right).mean() > 3


def test_light_from_the_left_and_from_the_right_are_mirror_images() -> None:
    head = Head(symmetric_person())
    left = head.photograph(studio(light=array(-0.8, 0, 0.6)))
    right = head.photograph(studio(light=array(0.8, 0, 0.6)))
    assert difference(left, right[:, ::-1]).max() <= 2
    assert left[40:80, 25:50].mean() > left[40:80, 62:87].mean() + 10


@pytest.mark.parametrize("size", [64, 112, 160])
def test_any_size_is_rendered(size: int) -> None:
    image = Head(symmetric_person()).photograph(studio(), size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


def test_a_larger_image_shows_the_same_face() -> None:
    head = Head(symmetric_person())
    small = head.photograph(studio(), 64).astype(np.float64)
    large = head.photograph(studio(), 128).astype(np.float64).reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - large).mean() < 3


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"eyelids": 0.0}, slice(35, 65)),
        ({"smile": 1.0}, slice(60, 110)),
        ({"mouth_opening": 0.08}, slice(70, 105)),
        ({"glasses": 0.9}, slice(30, 70)),
        ({"scarf": 0.5}, slice(70, 112)),
    ],
)
def test_a_change_of_expression_or_wear_shows_where_it_belongs(change: dict[str, float], rows: slice) -> None:
    head = Head(symmetric_person())
    changed = difference(head.photograph(studio()), head.photograph(studio(**change))).sum(axis=(1, 2))
    assert changed[rows].sum() > 0
    assert changed[rows].sum() > 0.95 * changed.sum()


def test_a_photograph_leaves_the_person_as_they_were() -> None:
    head = Head(symmetric_person())
    before = head.photograph(studio())
    head.photograph(studio(yaw=0.4, glasses=0.9, scarf=0.5, smile=1.0))
    np.testing.assert_array_equal(head.photograph(studio()), before)


@pytest.mark.parametrize("number", range(12))
def test_every_draw_gives_a_finite_picture_with_contrast(number: int) -> None:
    capture = draw_capture(generator(number))
    assert np.isclose(np.linalg.norm(capture.light), 1, atol=1e-5)
    image = Head(draw_identity(generator(100 + number))).photograph(capture)
    assert image.std() > 8
