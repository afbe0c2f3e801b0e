"""The shape of a synthetic head and how a camera sees it.

A head is an ellipsoid that tapers towards the chin, with a relief of Gaussian bumps on its front: nose, eye sockets,
cheeks, lips, chin. The ray of each pixel is met with the ellipsoid in closed form, and with the relief by fixed-point
steps, so that a turned head shows its nose in profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from datasets_tools.face_model import Array, Capture, Identity

Vector: TypeAlias = tuple[Array, Array, Array]  # x, y and z of each pixel [H, W]

EXTENT = 1.25  # planes that lie over the face reach from -EXTENT to EXTENT
HALF_HEIGHT, HALF_DEPTH = 1.08, 0.95  # of the head
UNIT = 49 / 112  # a head unit as a share of the image's side

_RELIEF = 80  # grid points along a side of the relief
_STEPS = 3  # towards the relief


@dataclass(frozen=True)
class Camera:
    """The rays of an image.

    Attributes:
        x: Where each pixel's ray crosses the plane of the image, in head units [H, W].
        y: The same, downwards.
        rotation: From the head's frame to the camera's [3, 3].
        softness: Width of a smooth edge: a pixel and a half, in head units.
    """

    x: Array
    y: Array
    rotation: Array
    softness: float

    @classmethod
    def of(cls, capture: Capture, size: int) -> Camera:
        """The camera that takes a photograph of ``size`` x ``size`` pixels."""
        unit = UNIT * size * capture.scale
        pixels = (np.arange(size, dtype=np.float32) - (size / 2 - 0.5)) / unit
        x, y = np.meshgrid(pixels - capture.shift[0], pixels - capture.shift[1] - 0.04)
        cosine, sine = math.cos(capture.roll), math.sin(capture.roll)
        rotation = _rotation(capture.yaw, capture.pitch)
        return cls(cosine * x + sine * y, cosine * y - sine * x, rotation, 1.5 / unit)

    def halved(self) -> Camera:
        """The same view with a quarter of the pixels."""
        size = (self.x.shape[1] // 2, self.x.shape[0] // 2)
        x, y = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (self.x, self.y))
        return Camera(np.asarray(x, np.float32), np.asarray(y, np.float32), self.rotation, 2 * self.softness)

    def meet(
        self, radii: tuple[Array | float, float, float], y: float = 0, z: Array | float = 0
    ) -> tuple[Array, Vector, Array]:
        """Where the rays first meet an ellipsoid around (0, y, z) of the head's frame.

        Rays that miss give the rim point nearest to them, so that colours run on under a soft edge.

        Returns:
            Coverage [H, W] from 0 to 1, the points, and the unit normals there [3, H, W].
        """
        across, down, view = self.rotation
        centre = (0, y, z)
        origin = [across[i] * self.x + down[i] * self.y - centre[i] for i in range(3)]
        curvature = [1 / (radius * radius) for radius in radii]
        a = sum(float(view[i]) ** 2 * curvature[i] for i in range(3))
        b = sum(view[i] * origin[i] * curvature[i] for i in range(3))
        c = sum(origin[i] * origin[i] * curvature[i] for i in range(3)) - 1
        inside = b * b - a * c
        depth = (np.sqrt(np.maximum(inside, 0)) - b) / a
        offset = [origin[i] + depth * view[i] for i in range(3)]
        normal = np.stack([offset[i] * curvature[i] for i in range(3)])
        return edge(inside, 2 * self.softness), (offset[0], offset[1] + y, offset[2]), normal


def meet_face(camera: Camera, identity: Identity, relief: Array) -> tuple[Array, Vector, Array, Array]:
    """Where the rays meet the head with its relief: coverage, points, unit normals [3, H, W], height of the relief."""
    coarse = camera.halved()  # the steps need no detail
    y, height = coarse.y, np.zeros_like(coarse.y)
    for _ in range(_STEPS):
        _, (x, y, z), _ = coarse.meet((_half_width(identity, y), HALF_HEIGHT, HALF_DEPTH), z=height)
        height = look_up(relief[0], x, y) * _front(z)
    size = camera.x.shape[::-1]
    y, height = (np.asarray(cv2.resize(plane, size), np.float32) for plane in (y, height))
    coverage, (x, y, z), normal = camera.meet((_half_width(identity, y), HALF_HEIGHT, HALF_DEPTH), z=height)
    front = _front(z)
    height, along_x, along_y = (look_up(plane, x, y) * front for plane in relief)
    normal[0] -= normal[2] * along_x
    normal[1] -= normal[2] * along_y
    return coverage, (x, y, z), unit(normal), height


def make_relief(identity: Identity, capture: Capture) -> Array:
    """Height of the face above the ellipsoid and its slopes along x and y: [3, R, R]."""
    height, x, y, wide, high = np.array(_bumps(identity, capture), np.float32).T[:, :, None]
    grid = ((np.arange(_RELIEF) + 0.5) * (2 * EXTENT / _RELIEF) - EXTENT).astype(np.float32)
    across = np.exp(-0.5 * ((grid - x) / wide) ** 2)
    down = height * np.exp(-0.5 * ((grid - y) / high) ** 2)
    slope_across, slope_down = across * (x - grid) / (wide * wide), down * (y - grid) / (high * high)
    layers = ((down, across), (down, slope_across), (slope_down, across))
    return np.stack([np.einsum("ky,kx->yx", rows, columns) for rows, columns in layers])


def _bumps(identity: Identity, capture: Capture) -> list[tuple[float, float, float, float, float]]:
    """Height, x, y, and deviation along x and y of each Gaussian of the relief."""
    eyes, mouth = identity.eye_height, identity.mouth_height
    nose, tip, smile = identity.nose_height, identity.eye_height + identity.nose_length, 0.05 * capture.smile
    middle = [
        (0.62 * nose, 0.0, tip - 0.02, 0.62 * identity.nose_width, 0.085),
        (identity.nose_bridge * nose, 0.0, eyes + 0.55 * identity.nose_length, 0.42 * identity.nose_width, 0.17),
        (identity.brow_ridge, 0.0, eyes - 0.20, 0.3, 0.06),
        (0.045, 0.0, mouth - 0.03, 0.16, 0.05),  # lips
        (0.045, 0.0, mouth + 0.05, 0.13, 0.045),
        (-0.05, 0.0, mouth + 0.14, 0.16, 0.04),
        (identity.chin, 0.0, 0.95, 0.15, 0.10),
    ]
    sides = [
        (-0.085, identity.eye_distance, eyes, 0.15, 0.10),  # sockets
        (0.045, identity.eye_distance, eyes, 0.09, 0.06),  # eyeballs
        (0.22 * nose, 0.85 * identity.nose_width, tip + 0.015, 0.055, 0.05),
        (identity.cheekbones + smile, 0.42, eyes + 0.32, 0.15, 0.13),
        (-0.04 * identity.folds - 0.5 * smile, 0.36, mouth - 0.06, 0.06, 0.12),
    ]
    return middle + sides + [(height, -x, y, wide, high) for height, x, y, wide, high in sides]


def look_up(plane: Array, x: Array, y: Array) -> Array:
    """Values of a plane that lies over the face, at points of it, linearly interpolated."""
    step = plane.shape[0] / (2 * EXTENT)
    middle = plane.shape[0] / 2 - 0.5
    found = cv2.remap(plane, x * step + middle, y * step + middle, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def edge(distance: Array, softness: float) -> Array:
    """0 outside, 1 inside, and a straight ramp of width ``softness`` around distance 0."""
    ramp: Array = np.clip(distance * (1 / softness) + 0.5, 0, 1)
    return ramp


def unit(vectors: Array) -> Array:
    """Vectors [3, ...] brought to length 1."""
    length: Array = np.sqrt(vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2)
    return vectors / (length + 1e-6)


def _rotation(yaw: float, pitch: float) -> Array:
    """From the head's frame to the camera's: yaw first, then pitch."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    return np.array([[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]], np.float32)


def _half_width(identity: Identity, y: Array) -> Array:
    """The head's half width at height y: full at the temples, narrowing along the jaw."""
    below: Array = np.clip(y + 0.05, 0, 1)
    return identity.head_width * (1 - identity.jaw_taper * below * below)


def _front(z: Array) -> Array:
    """1 on the front of the head, fading to 0 at its side: there is no face on the back."""
    return edge(z - 0.15, 0.3)
