"""Draws people, and photographs of them: how much people differ, and what photographs in the wild do to them."""

from __future__ import annotations

import math

import numpy as np

from datasets_tools.face_model import Array, Capture, Identity, linear, rgb

IDENTITY_SPREAD = 1.2  # how far people are from the mean face
CAPTURE_SPREAD = 1.0  # how far photographs are from a portrait in a studio

# Ends of the ranges of colours, as seen on a screen.
_HAIR = [
    ((20, 16, 14), (45, 32, 26)),
    ((50, 32, 20), (105, 70, 42)),
    ((150, 110, 60), (215, 180, 120)),
    ((120, 50, 25), (165, 80, 40)),
]
_IRIS = [((45, 26, 14), (95, 60, 30)), ((70, 105, 140), (130, 165, 190)), ((85, 105, 60), (125, 130, 90))]


def draw_identity(generator: np.random.Generator) -> Identity:
    """A person, drawn from the population."""
    draw = _Draw(generator, IDENTITY_SPREAD)
    male, age, tone = draw.between(0, 1), draw.between(0, 1), draw.between(0, 1)
    skin = _skin(draw, tone)
    bearded, bald = male > 0.5 and draw.chance(0.45), male > 0.6 and draw.chance(0.2)
    hair_kinds = _HAIR if tone < 0.45 else _HAIR[:2]
    hair = draw.mixture(*hair_kinds[int(draw.between(0, len(hair_kinds)))])
    if age > 0.75:
        hair = hair + draw.between(0.2, 0.9) * (linear(rgb(190, 188, 185)) - hair)
    long_hair = draw.between(0.5, 1.3) if draw.chance(0.9 - 0.8 * male) else draw.between(-0.35, 0.25)
    return Identity(
        head_width=draw.around(0.79, 0.05),
        jaw_taper=draw.around(0.36 - 0.08 * male, 0.06),
        chin=draw.around(0.10, 0.05),
        cheekbones=draw.around(0.06, 0.03),
        brow_ridge=draw.around(0.02 + 0.04 * male, 0.02),
        ear_size=draw.around(0.16, 0.025),
        eye_distance=draw.around(0.325, 0.028),
        eye_height=draw.around(0.0, 0.035),
        eye_width=draw.around(0.15, 0.016),
        eye_opening=draw.around(0.075, 0.016),
        eye_tilt=draw.around(0.05, 0.11),
        iris=draw.mixture(*_IRIS[int(draw.between(0, len(_IRIS))) if tone < 0.5 else 0]),
        brow_height=draw.around(0.20 - 0.03 * male, 0.028),
        brow_thickness=draw.around(0.028 + 0.014 * male, 0.010),
        brow_tilt=draw.around(0.05, 0.12),
        brow_arch=draw.around(0.05, 0.035),
        nose_length=draw.around(0.42, 0.045),
        nose_width=draw.around(0.125, 0.025),
        nose_height=draw.around(0.27, 0.05),
        nose_bridge=draw.around(0.5, 0.16),
        mouth_height=draw.around(0.685, 0.035),
        mouth_width=draw.around(0.235, 0.032),
        upper_lip=max(0.012, draw.around(0.042, 0.014)),
        lower_lip=max(0.02, draw.around(0.062, 0.016)),
        lips=skin * rgb(draw.between(0.72, 0.98), draw.between(0.4, 0.6), draw.between(0.45, 0.65)),
        skin=skin,
        blush=draw.between(0, 0.3),
        mottling=draw.field(9, 9),
        freckles=draw.field(40, 40),
        freckled=draw.between(0.3, 0.9) if draw.chance(0.15) and tone < 0.5 else 0.0,
        moles=_moles(draw),
        folds=draw.between(0, 0.25) + 0.35 * age,
        beard=draw.between(0.25, 0.9) if bearded else 0.0,
        moustache=draw.between(0.2, 0.9) if bearded or (male > 0.5 and draw.chance(0.15)) else 0.0,
        hair=hair,
        hairline=draw.around(-0.66, 0.07),
        fringe=draw.around(0.0, 0.16),
        parting=draw.around(0.0, 0.22),
        hair_volume=draw.around(1.07, 0.03),
        hair_length=-2.0 if bald else long_hair,
        strands=draw.field(4, 56),
    )


def draw_capture(generator: np.random.Generator) -> Capture:
    """The circumstances of a photograph, drawn from those met in the wild."""
    draw = _Draw(generator, CAPTURE_SPREAD)
    azimuth, elevation = draw.around(0, 0.6), draw.around(0.45, 0.35)
    warmth, smiling = draw.around(0, 0.08), draw.chance(0.45)
    return Capture(
        yaw=draw.around(0, 0.24),
        pitch=draw.around(0, 0.11),
        roll=draw.around(0, 0.05),
        scale=draw.around(1.0, 0.025),
        shift=_array(draw.around(0, 0.02), draw.around(0, 0.02)),
        light=_direction(azimuth, elevation),
        light_colour=rgb(1 + warmth, 1, 1 - warmth),
        ambient=draw.between(0.35, 0.7),
        exposure=draw.between(0.75, 1.35),
        contrast=draw.around(1.0, 0.1),
        smile=draw.between(0.3, 1.0) if smiling else draw.around(0.0, 0.15),
        mouth_opening=draw.between(0.02, 0.09) if draw.chance(0.35) else 0.0,
        eyelids=draw.between(0.0, 0.3) if draw.chance(0.06) else draw.between(0.75, 1.15),
        brow_raise=draw.around(0.0, 0.022),
        gaze=_array(draw.around(0, 0.02), draw.around(0, 0.009)),
        glasses=_glasses(draw),
        glasses_size=draw.between(0.17, 0.24),
        glasses_colour=draw.mixture((15, 15, 18), (110, 70, 45)),
        scarf=draw.between(0.42, 0.85) if draw.chance(0.07) else 9.0,
        bar=_bar(draw),
        cover_colour=_muted(draw),
        clothes=_muted(draw),
        background=_background(draw),
        blur=draw.between(0.0, 1.0) if draw.chance(0.6) else draw.between(1.0, 1.5),
        resolution=draw.between(0.35, 0.65) if draw.chance(0.2) else 1.0,
        noise=draw.between(0.0, 0.028),
        noise_seed=int(generator.integers(2**63)),
        jpeg_quality=int(draw.between(70, 96)),
    )


def _skin(draw: _Draw, tone: float) -> Array:
    """Skin from light (tone 0) over brown to dark (tone 1), more or less red."""
    tones = np.array(((238, 205, 186), (222, 178, 150), (188, 138, 104), (138, 94, 68), (100, 68, 52)), np.float32)
    position = tone * (len(tones) - 1)
    left = min(int(position), len(tones) - 2)
    screen = tones[left] + (position - left) * (tones[left + 1] - tones[left])
    return linear(rgb(*screen) * rgb(1, 1 + draw.around(0, 0.02), 1 + draw.around(0, 0.035)))


def _moles(draw: _Draw) -> Array:
    count = int(draw.between(0, 4))
    sides = [1.0 if draw.chance(0.5) else -1.0 for _ in range(count)]
    places = [(side * draw.between(0.24, 0.6), draw.between(-0.45, 0.85), draw.between(0.016, 0.034)) for side in sides]
    return np.asarray(places, np.float32).reshape(-1, 3)


def _bar(draw: _Draw) -> Array:
    half_width = draw.between(0.07, 0.19) if draw.chance(0.1) else 0.0
    return _array(draw.around(0, 0.6), draw.around(0.1, 0.5), half_width, draw.between(0, math.pi))


def _direction(azimuth: float, elevation: float) -> Array:
    """The unit vector towards something above (elevation) and to the right (azimuth) of the camera."""
    level = math.cos(elevation)
    return _array(math.sin(azimuth) * level, -math.sin(elevation), math.cos(azimuth) * level)


def _array(*values: float) -> Array:
    return np.array(values, np.float32)


def _glasses(draw: _Draw) -> float:
    if not draw.chance(0.16):
        return -1.0
    return draw.between(0.75, 0.95) if draw.chance(0.25) else draw.between(0.0, 0.15)


def _muted(draw: _Draw) -> Array:
    """A colour as cloth, walls and things have it: of any brightness, rarely garish."""
    brightness, garish = draw.between(0.08, 0.85), 0.8 * draw.between(0, 1) ** 2
    colour: Array = np.square(np.clip(brightness + garish * (draw.field(3, 1, 1) - 0.5), 0, 1))
    return colour


def _background(draw: _Draw) -> Array:
    """A base colour with large blotches, from an even wall to a busy street."""
    base, busy, bright = _muted(draw), draw.between(0.1, 0.7), draw.field(1, 5, 5)
    blotches = bright + 0.3 * (draw.field(3, 5, 5) - 0.5)
    return base + busy * (np.square(blotches) - base)


class _Draw:
    """Draws from one generator, in the words of this file."""

    def __init__(self, generator: np.random.Generator, spread: float) -> None:
        self.generator = generator
        self.spread = spread

    def around(self, mean: float, deviation: float) -> float:
        return mean + self.spread * deviation * float(np.clip(self.generator.standard_normal(), -2.2, 2.2))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.generator.random())

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def field(self, *shape: int) -> Array:
        return self.generator.random(shape, dtype=np.float32)

    def mixture(self, low: tuple[int, int, int], high: tuple[int, int, int]) -> Array:
        """A colour between two, given as they would be seen on a screen (0 to 255)."""
        share = self.between(0, 1)
        return linear(rgb(*low) + share * (rgb(*high) - rgb(*low)))
