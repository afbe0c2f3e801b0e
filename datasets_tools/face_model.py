"""What a synthetic face is: the parameters of a person, and those of one photograph of that person.

Lengths are in head units: the eyes lie at the middle of a head about 2.2 units high. x points to the right of the
image, y down, z towards the camera. Angles are radians. Colours are RGB in linear light from 0 to 1, arrays [3, 1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]  # always float32, which mypy cannot follow through arithmetic


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What stays the same in every photograph of a person."""

    head_width: float  # half the width at the temples
    jaw_taper: float  # how much narrower the head is at the chin
    chin: float
    cheekbones: float
    brow_ridge: float
    ear_size: float

    eye_distance: float  # from the middle of the face
    eye_height: float
    eye_width: float
    eye_opening: float
    eye_tilt: float
    iris: Array

    brow_height: float  # above the eye
    brow_thickness: float
    brow_tilt: float
    brow_arch: float

    nose_length: float
    nose_width: float
    nose_height: float
    nose_bridge: float

    mouth_height: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    lips: Array

    skin: Array
    blush: float
    mottling: Array  # [9, 9] uneven pigment
    freckles: Array  # [40, 40] where freckles may be
    freckled: float
    moles: Array  # [M, 3]: x, y, radius
    folds: float  # depth of the lines of age
    beard: float
    moustache: float

    hair: Array
    hairline: float
    fringe: float
    parting: float
    hair_volume: float
    hair_length: float  # y at which the hair ends at the sides; below the crown means bald
    strands: Array  # [4, 56] light and dark strands


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What differs from photograph to photograph of the same person."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: Array  # [2]

    light: Array  # [3] unit vector towards the light
    light_colour: Array
    ambient: float
    exposure: float
    contrast: float

    smile: float
    mouth_opening: float
    eyelids: float  # 0: shut, 1: as usual
    brow_raise: float
    gaze: Array  # [2]

    glasses: float  # darkness of the lenses; below 0: none
    glasses_size: float
    glasses_colour: Array
    scarf: float  # y of the upper edge of a scarf or mask; beyond the chin: none
    bar: Array  # [4]: x, y, half width, angle of a bar in front of the face (a hand, a pole); half width 0: none
    cover_colour: Array  # of scarf and bar
    clothes: Array
    background: Array  # [3, 5, 5]

    blur: float  # standard deviation in pixels of a 112-pixel image
    resolution: float  # share of the full resolution
    noise: float
    noise_seed: int
    jpeg_quality: int


def rgb(red: float, green: float, blue: float) -> Array:
    """Three channels that multiply planes."""
    return np.array((red, green, blue), np.float32).reshape(3, 1, 1)


def linear(screen: Array) -> Array:
    """Linear light of a screen colour in [0, 255], with a gamma of 2: its inverse is exact on every machine."""
    light: Array = np.square(screen / 255)
    return light
