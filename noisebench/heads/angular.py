"""Angular margins on cosines, differentiable everywhere: also where a cosine is exactly 1 or -1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST_SQUARED_SINE = 1e-14


def add_angle(cosine: Tensor, angle: float) -> Tensor:
    """cos(θ + angle) where cosine = cos θ; angle in radians.

    At θ = 0 and θ = π, where the sine has no derivative, its derivative is taken as 0.
    """
    squared_sine = (1 - cosine) * (1 + cosine)  # keeps digits near 1 that 1 - cosine² would lose
    sine = squared_sine.clamp(min=SMALLEST_SQUARED_SINE).sqrt()
    return cosine * math.cos(angle) - sine * math.sin(angle)


def add_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(θ + margin) as far as θ + margin <= π, beyond it cosine - margin · sin(margin); margin in radians.

    The usual fallback: without it the target would rise again for a sample far from its centre. It is monotone in the
    cosine, with a small jump down at θ + margin = π.
    """
    beyond = cosine - margin * math.sin(margin)
    return torch.where(cosine > math.cos(math.pi - margin), add_angle(cosine, margin), beyond)
