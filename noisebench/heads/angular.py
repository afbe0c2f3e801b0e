"""Angles and angular margins on cosines, differentiable everywhere: also where a cosine is exactly 1 or -1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST_SQUARED_SINE = 1e-14


def sine_of(cosine: Tensor) -> Tensor:
    """The sine of θ where cosine = cos θ; at θ = 0 and θ = π, where it has no derivative, this is taken as 0."""
    squared_sine = (1 - cosine) * (1 + cosine)  # keeps digits near 1 that 1 - cosine² would lose
    return squared_sine.clamp(min=SMALLEST_SQUARED_SINE).sqrt()


def angle_of(cosine: Tensor) -> Tensor:
    """θ in radians where cosine = cos θ; unlike arccos it has a derivative everywhere."""
    return torch.atan2(sine_of(cosine), cosine)


def add_angle(cosine: Tensor, angle: float | Tensor) -> Tensor:
    """cos(θ + angle) where cosine = cos θ; one angle in radians for all, or one for each."""
    if isinstance(angle, Tensor):
        return cosine * angle.cos() - sine_of(cosine) * angle.sin()
    return cosine * math.cos(angle) - sine_of(cosine) * math.sin(angle)


def add_margin(cosine: Tensor, margin: float | Tensor) -> Tensor:
    """cos(θ + margin) as far as θ + margin <= π, beyond it cosine - margin · sin(margin); margins in radians.

    The usual fallback: without it the target would rise again for a sample far from its centre. It is monotone in the
    cosine, with a small jump down at θ + margin = π. A negative margin, one of many in a tensor, never comes there.
    """
    if isinstance(margin, Tensor):
        has_room = cosine > -margin.clamp(min=0).cos()
        return torch.where(has_room, add_angle(cosine, margin), cosine - margin * margin.sin())
    has_room = cosine > math.cos(math.pi - margin)
    return torch.where(has_room, add_angle(cosine, margin), cosine - margin * math.sin(margin))


def above(cosines: Tensor, threshold: Tensor) -> Tensor:
    """1 where a cosine is above the threshold, else 0, without gradient, in the cosines' precision.

    To multiply with it costs a fifth of what ``torch.where`` does on a CPU, and less still in backward.
    """
    return torch.gt(cosines.detach(), threshold, out=torch.empty_like(cosines))
