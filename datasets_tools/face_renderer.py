"""Renders a synthetic person: layers from the background to what is held before the face, under one light.

One photograph at a time, in NumPy and OpenCV: its bytes depend on nothing but its parameters.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets_tools.face_geometry import HALF_DEPTH, HALF_HEIGHT, Camera, edge, look_up, make_relief, meet_face, unit
from datasets_tools.face_model import Array, Capture, Identity
from datasets_tools.face_paint import CANVAS, paint_features, paint_skin

Image: TypeAlias = NDArray[np.uint8]

_BALD = -1.0  # hair that ends above this has ended above the crown


class Layer(NamedTuple):
    """Something in front of something else: how far it covers each pixel [H, W], and its lit colour [3, H, W]."""

    coverage: Array
    colour: Array

    def cover(self, image: Array) -> None:
        """Lay it over an image [3, H, W]."""
        image += self.coverage * (self.colour - image)


class Head:
    """One person's head, ready to be photographed any number of times."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.skin = paint_skin(identity)
        self.strands = enlarge(identity.strands, CANVAS)

    def photograph(self, capture: Capture, size: int = 112) -> Image:
        """An RGB photograph, uint8 [size, size, 3]."""
        camera = Camera.of(capture, size)
        image = np.stack([enlarge(plane, size) for plane in capture.background])
        hair, in_front = self._hair(camera, capture)
        Layer(hair.coverage, 0.55 * hair.colour).cover(image)  # what hangs behind the neck
        self._neck(camera, capture).cover(image)
        _clothes(camera, capture).cover(image)
        self._ears(camera, capture).cover(image)
        self._face(camera, capture).cover(image)
        Layer(hair.coverage * in_front, hair.colour).cover(image)
        if capture.bar[2] > 0:
            _bar(camera, capture).cover(image)
        return _develop(image, capture, size)

    def _face(self, camera: Camera, capture: Capture) -> Layer:
        relief = make_relief(self.identity, capture)
        coverage, (x, y, _), normal, height = meet_face(camera, self.identity, relief)
        canvas = paint_features(self.skin, self.identity, capture)
        albedo = np.stack([look_up(plane, x, y) for plane in canvas])
        light = camera.rotation.T @ capture.light
        shadow = _cast_shadow(relief[0], x, y, height, light)
        gloss = 0.07 * shadow * _shine(normal, light + camera.rotation[2])
        return Layer(coverage, albedo * _shade(normal, light, capture, shadow) + gloss * capture.light_colour)

    def _hair(self, camera: Camera, capture: Capture) -> tuple[Layer, Array]:
        """A shell around the head, and where it lies before the face: everywhere but in an opening for the face."""
        identity, drop = self.identity, 0.3 * max(self.identity.hair_length, 0)  # long hair reaches further down
        volume = identity.hair_volume
        radii = (identity.head_width * volume + 0.03, HALF_HEIGHT * volume + drop, 1.1 * HALF_DEPTH)
        coverage, (x, y, z), normal = camera.meet(radii, y=drop - 0.03, z=-0.14)
        strands = look_up(self.strands, x + 0.25 * x * y, 0.6 * y)
        shade = _shade(unit(normal), camera.rotation.T @ capture.light, capture) * (0.55 + 0.9 * strands)
        coverage = coverage * edge(identity.hair_length - y + 0.12 * strands, 0.1) * (identity.hair_length > _BALD)
        from_parting = x - identity.parting
        fringe = identity.hairline + 1.6 * identity.fringe * from_parting + 0.5 * from_parting**2 - y
        side = np.abs(x) - 0.93 * identity.head_width + 0.25 * np.minimum(y + 0.3, 0)
        outside = np.maximum(np.maximum(side, fringe), -z - 0.1) + 0.06 * (strands - 0.5)
        return Layer(coverage, identity.hair * shade), edge(outside, 0.07)

    def _neck(self, camera: Camera, capture: Capture) -> Layer:
        aside = np.abs(camera.x - _neck_middle(capture))
        coverage = edge(0.48 - aside, camera.softness) * edge(camera.y - 0.5, camera.softness)
        return Layer(coverage, 0.4 * (1 - aside * aside) * capture.light_colour * self.identity.skin)

    def _ears(self, camera: Camera, capture: Capture) -> Layer:
        place = np.array((0.99 * self.identity.head_width, 0.1, -0.02), np.float32)
        right, left = camera.rotation @ place, camera.rotation @ (place * (-1, 1, 1)).astype(np.float32)
        x = np.minimum(np.abs(camera.x - right[0]), np.abs(camera.x - left[0])) * (1 / 0.09)
        y = (camera.y - right[1]) * (1 / self.identity.ear_size)
        rim = x * x + y * y
        return Layer(edge(1 - rim, 0.25), (0.25 + 0.3 * np.minimum(rim, 1)) * capture.light_colour * self.identity.skin)


def enlarge(plane: Array, size: int) -> Array:
    """A small random plane as a smooth one of ``size`` x ``size``."""
    return np.asarray(cv2.resize(plane, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _neck_middle(capture: Capture) -> float:
    return -0.25 * capture.yaw  # a head turns before its shoulders do


def _clothes(camera: Camera, capture: Capture) -> Layer:
    """Shoulders with an open collar."""
    aside = np.abs(camera.x - _neck_middle(capture))
    inside = np.minimum(camera.y - 0.88 - 0.3 * aside, camera.y - 1.45 + 1.25 * aside)
    return Layer(edge(inside, camera.softness), (0.9 - 0.3 * aside) * capture.clothes)


def _bar(camera: Camera, capture: Capture) -> Layer:
    """Something straight that is held before the face, or stands there."""
    x, y, half_width, angle = (float(value) for value in capture.bar)
    distance = np.abs((camera.x - x) * math.sin(angle) - (camera.y - y) * math.cos(angle))
    shade = 1 - 0.6 * np.minimum(distance / half_width, 1) ** 2
    return Layer(edge(half_width - distance, camera.softness), shade * capture.cover_colour)


def _shade(normal: Array, light: Array, capture: Capture, shadow: Array | float = 1.0) -> Array:
    """Light received [3, H, W]: Lambert's law plus an ambient part."""
    lambert = np.maximum(_dot(normal, light), 0) * shadow
    return (capture.ambient + (1 - 0.6 * capture.ambient) * lambert) * capture.light_colour


def _shine(normal: Array, half_way: Array) -> Array:
    """The sixteenth power of the cosine to the vector half-way between light and camera, after Blinn."""
    shine = np.maximum(_dot(normal, unit(half_way)), 0)
    for _ in range(4):
        shine = shine * shine
    return shine


def _cast_shadow(relief: Array, x: Array, y: Array, height: Array, light: Array) -> Array:
    """How much of the light passes the relief, the nose above all, on its way to each point: [H, W] in [0.35, 1]."""
    reach = 0.14
    between = look_up(relief, x + reach * light[0], y + reach * light[1])
    return 1 - 0.65 * edge(between - height - 0.6 * reach * max(float(light[2]), 0.2), 0.12)


def _develop(image: Array, capture: Capture, size: int) -> Image:
    """From linear light to the pixels of a camera: exposure, contrast, lost resolution, blur, noise."""
    screen = np.sqrt(np.clip(capture.exposure * image, 0, 1))
    photo = cv2.merge(list(0.5 + capture.contrast * (screen - 0.5)))
    if capture.resolution < 1:
        small = max(8, round(size * capture.resolution))
        photo = cv2.resize(photo, (small, small), interpolation=cv2.INTER_AREA)
        photo = cv2.resize(photo, (size, size), interpolation=cv2.INTER_LINEAR)
    if capture.blur > 0.3:
        photo = cv2.GaussianBlur(photo, (0, 0), capture.blur * size / 112)
    grain = np.random.Generator(np.random.Philox(capture.noise_seed)).standard_normal((size, size, 1), np.float32)
    pixels: Image = np.rint(255 * np.clip(photo + capture.noise * grain, 0, 1)).astype(np.uint8)
    return pixels


def _dot(vectors: Array, direction: Array) -> Array:
    product: Array = vectors[0] * direction[0] + vectors[1] * direction[1] + vectors[2] * direction[2]
    return product
