"""Paints the front of a synthetic face: skin, beard, moles, brows, eyes, mouth, glasses, scarf.

The canvas covers x and y in [-EXTENT, EXTENT] head units. Each feature is painted in a window around its place;
those that come in pairs are painted at once, as functions of the distance from the middle line.
"""

from __future__ import annotations

import cv2
import numpy as np

from datasets_tools.face_geometry import EXTENT, edge
from datasets_tools.face_model import Array, Capture, Identity, rgb

CANVAS = 128  # pixels a side
_PIXEL = 2 * EXTENT / CANVAS
_SOFT = 1.3 * _PIXEL
_AXIS = (np.arange(CANVAS, dtype=np.float32) + 0.5) * _PIXEL - EXTENT


class _Window:
    """A window of the canvas; ``x`` and ``y`` are positions relative to its middle."""

    def __init__(self, canvas: Array, x: float, y: float, half_width: float, half_height: float) -> None:
        columns, rows = self._span(x, half_width), self._span(y, half_height)
        self.pixels = canvas[:, rows, columns]
        self.x = (_AXIS[columns] - x)[None, :]
        self.y = (_AXIS[rows] - y)[:, None]

    @staticmethod
    def _span(middle: float, half: float) -> slice:
        first, last = ((middle + side * half + EXTENT) / _PIXEL for side in (-1, 1))
        return slice(max(0, int(first)), max(0, min(CANVAS, int(last) + 1)))

    def paint(self, mask: Array, colour: Array) -> None:
        self.pixels += mask * (colour - self.pixels)

    def darken(self, mask: Array) -> None:
        self.pixels *= 1 - mask


def paint_skin(identity: Identity) -> Array:
    """What no photograph changes: skin with its unevenness, blush, freckles, moles and beard [3, CANVAS, CANVAS]."""
    canvas = identity.skin * (0.88 + 0.24 * _enlarge(identity.mottling))
    cheeks = _Window(canvas, 0, 0.34, 0.8, 0.4)
    cheeks.pixels[1:] *= 1 - identity.blush * _bump(np.abs(cheeks.x) - 0.42, 0.16, cheeks.y, 0.15)
    _paint_freckles(canvas, identity)
    _paint_beard(canvas, identity)
    for x, y, radius in identity.moles:
        mole = _Window(canvas, float(x), float(y), 0.08, 0.08)
        mole.darken(0.75 * edge(radius - np.sqrt(mole.x**2 + mole.y**2), _SOFT))
    return canvas


def paint_features(skin: Array, identity: Identity, capture: Capture) -> Array:
    """The skin with all that moves or is worn painted on it [3, CANVAS, CANVAS]."""
    canvas = skin.copy()
    _paint_folds(canvas, identity, capture)
    _paint_nostrils(canvas, identity)
    _paint_mouth(canvas, identity, capture)
    _paint_eyes(canvas, identity, capture)
    _paint_brows(canvas, identity, capture)
    if capture.glasses >= 0:
        _paint_glasses(canvas, identity, capture)
    if capture.scarf < EXTENT:
        scarf = _Window(canvas, 0, EXTENT, EXTENT, EXTENT - capture.scarf + 0.1)
        below = scarf.y + (EXTENT - capture.scarf) + 0.12 * scarf.x**2
        folds = 0.85 + 0.15 * np.sin(14 * scarf.y + 3 * scarf.x)
        scarf.paint(edge(below, _SOFT), capture.cover_colour * folds)
    return canvas


def _paint_freckles(canvas: Array, identity: Identity) -> None:
    if identity.freckled > 0:
        band = _bump(_AXIS[None, :], 0.42, _AXIS[:, None] - 0.28, 0.16)
        freckles = identity.freckled * band * edge(_enlarge(identity.freckles) - 0.72, 0.12)
        canvas *= 1 - freckles * rgb(0.3, 0.45, 0.5)


def _paint_beard(canvas: Array, identity: Identity) -> None:
    x, y = _AXIS[None, :], _AXIS[:, None]
    lips = (x / (identity.mouth_width + 0.06)) ** 2 + ((y - identity.mouth_height) / 0.11) ** 2
    jaw = edge(y - 0.72 + 0.55 * np.maximum(np.abs(x) - 0.2, 0), 0.22) * edge(lips - 1, 0.5)
    jaw = np.maximum(jaw, edge(np.abs(x) - 0.62, 0.12) * edge(y - 0.25, 0.3))
    above = (identity.mouth_height - 0.115) + 0.35 * x * x
    moustache = edge(0.05 - np.abs(y - above), 0.05) * edge(identity.mouth_width - np.abs(x), 0.1)
    grain = 0.75 + 0.25 * _enlarge(identity.freckles)
    hair = np.maximum(identity.beard * jaw, identity.moustache * moustache) * grain
    canvas += hair * (identity.hair * 0.8 - canvas)


def _paint_folds(canvas: Array, identity: Identity, capture: Capture) -> None:
    """The lines from the wings of the nose to the corners of the mouth, and the shadow under the eyes."""
    depth = min(0.6, 0.55 * identity.folds + 0.25 * max(capture.smile, 0))
    folds = _Window(canvas, 0, 0.56, 0.45, 0.24)
    line = np.abs(folds.x) - 0.27 - 0.25 * folds.y + 0.9 * folds.y**2
    folds.darken(depth * _bump(line, 0.022, folds.y, 0.10))
    under = _Window(canvas, 0, identity.eye_height + 0.12, 0.6, 0.1)
    hollow = _bump(np.abs(under.x) - identity.eye_distance, 0.11, under.y, 0.03)
    under.darken((0.35 * identity.folds) * hollow)


def _paint_nostrils(canvas: Array, identity: Identity) -> None:
    nose = _Window(canvas, 0, identity.eye_height + identity.nose_length + 0.065, 0.3, 0.18)
    aside = np.abs(nose.x)
    width = identity.nose_width
    nostrils = 0.7 * _bump(aside - width * 0.55, 0.032, nose.y, 0.017)
    wings = 0.28 * _bump(aside - width * 1.25, 0.018, nose.y + 0.05, 0.05)
    shadow = 0.22 * _bump(aside, identity.nose_width * 0.8, nose.y - 0.02, 0.025)
    nose.darken(1 - (1 - nostrils) * (1 - wings) * (1 - shadow))


def _paint_mouth(canvas: Array, identity: Identity, capture: Capture) -> None:
    mouth = _Window(canvas, 0, identity.mouth_height, 0.45, 0.3)
    width = identity.mouth_width * (1 + 0.22 * capture.smile)
    across = mouth.x / width
    arch = np.clip(1 - across**2, 0, 1)
    line = mouth.y + (0.075 * capture.smile) * across**2 - 0.02  # 0 where the lips meet
    opening = capture.mouth_opening * arch
    bow = identity.upper_lip * (arch + 0.25 * (_bump(np.abs(across) - 0.25, 0.18) - 1) * arch)
    below = identity.lower_lip * np.sqrt(arch) * arch
    upper = edge(line + opening + bow, _SOFT) * edge(-line - opening * 0.4, _SOFT)
    lower = edge(line - opening * 0.6, _SOFT) * edge(opening + below - line, _SOFT)
    inside = edge(width - np.abs(mouth.x), 0.04)
    mouth.paint(inside * upper * 0.85, identity.lips * 0.85)
    mouth.paint(inside * lower * 0.85, identity.lips)
    gap = edge(line + opening * 0.6, _SOFT) * edge(opening - line, _SOFT) * (opening > _SOFT / 2)
    teeth = np.where(line < opening * 0.35, 0.6, 0.04)
    mouth.paint(inside * gap, teeth * rgb(1, 0.92, 0.85))
    seam = _bump(line - opening * 0.4, 0.013) * edge(width * 1.06 - np.abs(mouth.x), 0.05)
    mouth.darken(0.55 * seam * (1 - gap))


def _paint_eyes(canvas: Array, identity: Identity, capture: Capture) -> None:
    eyes = _Window(canvas, 0, identity.eye_height, identity.eye_distance + 0.28, 0.22)
    x = np.abs(eyes.x) - identity.eye_distance
    y = eyes.y + identity.eye_tilt * x
    opening = identity.eye_opening * capture.eyelids
    arch = 1 - (x / identity.eye_width) ** 2
    above, below = y + opening * arch, 0.6 * opening * arch - y  # from the upper and the lower lid inwards
    inside = edge(above, _SOFT) * edge(below, _SOFT) * edge(arch, 0.15)
    eyes.darken(0.25 * _bump(x, 0.15, y + 0.05, 0.08))
    eyes.paint(inside, (0.52 - 0.3 * _bump(above, 0.035)) * rgb(1, 0.95, 0.92))
    _paint_iris(eyes, x, y, inside, identity, capture)
    upper_lashes = 0.8 * _bump(above, 0.015)
    lower_lashes = 0.3 * _bump(below, 0.012)
    crease = 0.35 * _bump(above + 0.05, 0.012)
    eyes.darken(edge(arch + 0.12, 0.25) * np.maximum(np.maximum(upper_lashes, lower_lashes), crease))


def _paint_iris(eyes: _Window, x: Array, y: Array, inside: Array, identity: Identity, capture: Capture) -> None:
    gaze_x = np.sign(eyes.x) * capture.gaze[0]  # both eyes look the same way
    gaze_y = y - capture.gaze[1] + 0.008
    radius = np.sqrt((x - gaze_x) ** 2 + gaze_y**2)
    eyes.paint(inside * edge(0.068 - radius, _SOFT), identity.iris * (0.45 + 9 * radius))
    eyes.paint(inside * edge(0.030 - radius, _SOFT), rgb(0.01, 0.01, 0.01))
    glint = np.sqrt((x - gaze_x + 0.02) ** 2 + (gaze_y + 0.02) ** 2)
    eyes.paint(inside * edge(0.012 - glint, _SOFT), rgb(0.9, 0.9, 0.9))


def _paint_brows(canvas: Array, identity: Identity, capture: Capture) -> None:
    height = identity.eye_height - identity.brow_height - capture.brow_raise
    brows = _Window(canvas, 0, height, identity.eye_distance + 0.26, 0.2)
    along = 5 * (np.abs(brows.x) - identity.eye_distance - 0.02)  # -1 at the nose, 1 at the temple
    line = brows.y + (identity.brow_tilt * 0.2) * along - identity.brow_arch * along**2
    thickness = identity.brow_thickness * (1.1 - 0.5 * np.clip(along, -1, 1))
    mask = edge(thickness - np.abs(line), 2 * _SOFT) * edge(1 - np.abs(along), 0.3)
    brows.paint(0.85 * mask, identity.hair * 0.6)


def _paint_glasses(canvas: Array, identity: Identity, capture: Capture) -> None:
    glasses = _Window(canvas, 0, identity.eye_height + 0.03, EXTENT, 0.3)
    aside = np.abs(glasses.x) - identity.eye_distance
    half = capture.glasses_size
    lens = np.abs(aside / half) ** 3 + np.abs(glasses.y / (0.8 * half)) ** 3  # 0 in its middle, 1 on its rim
    glasses.darken(capture.glasses * edge(1 - lens, 0.2))
    bars = edge(0.021 - np.abs(glasses.y + 0.03), _SOFT) * (lens > 1)  # bridge and temples
    glasses.paint(np.maximum(edge(0.28 - np.abs(lens - 1), 0.25), bars), capture.glasses_colour)


def _bump(x: Array, wide: float, y: Array | float = 0.0, high: float = 1.0) -> Array:
    """A Gaussian of height 1."""
    height: Array = np.exp(-0.5 * ((x * (1 / wide)) ** 2 + (y * (1 / high)) ** 2))
    return height


def _enlarge(plane: Array) -> Array:
    """A small random plane over the whole canvas."""
    return np.asarray(cv2.resize(plane, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC), np.float32)
