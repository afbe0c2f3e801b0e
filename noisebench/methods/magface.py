"""MagFace: a margin that grows with the embedding's norm, which a penalty makes grow with quality.

Paper: Meng et al., "MagFace: A Universal Representation for Face Recognition and Quality Assessment", CVPR 2021,
arXiv 2103.06627.

Formula, with θ_j the angle between embedding x and centre of class j, and y the label:

    a    = |x| clipped to [l_a, u_a]
    m(a) = l_m + (u_m - l_m) · (a - l_a) / (u_a - l_a)
    z_y  = s · cos(θ_y + m(a))  where cos θ_y > 0, else s · cos θ_y
    z_j  = s · cos θ_j,  j ≠ y
    loss = cross-entropy + λ_g · (a / u_a² + 1 / a)

The gradient goes into the norm by way of the margin and of the penalty, and ends where the norm is clipped.

Defaults: s = 64, l_a = 10, u_a = 110, l_m = 0.45, u_m = 0.8, easy margin, λ_g = 35 (official run script). The norm has
its optimum within the limits if λ_g >= s · k · u_a² · l_a² / (u_a² - l_a²), k = (u_m - l_m) / (u_a - l_a): here 22.6.

Paper and code: they agree, but the official trainer's own default, λ_g = 20, is below that bound.

Variants: ``easy_margin=False`` has ArcFace's fallback, cos θ_y - m(a) · sin m(a) beyond π, as the official code's.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from noisebench.heads.angular import add_angle, add_margin
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class MagFace(MarginSoftmax):
    """Easy samples are driven to long embeddings and large margins."""

    class Options(MarginSoftmax.Options):
        """Options of MagFace."""

        lower_norm: float = Field(default=10.0, gt=0, description="l_a, the norm of the smallest margin.")
        upper_norm: float = Field(default=110.0, gt=0, description="u_a, the norm of the largest margin.")
        lower_margin: float = Field(default=0.45, ge=0, lt=math.pi, description="l_m, in radians.")
        upper_margin: float = Field(default=0.8, ge=0, lt=math.pi, description="u_m, in radians.")
        penalty_weight: float = Field(default=35.0, ge=0, description="λ_g, of the penalty on short embeddings.")
        easy_margin: bool = Field(default=True, description="No margin beyond 90 degrees.")

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            for what in ("norm", "margin"):
                lower, upper = getattr(self, f"lower_{what}"), getattr(self, f"upper_{what}")
                if lower > upper or (what == "norm" and lower == upper):
                    raise ValueError(f"lower_{what} is {lower}, but upper_{what} is {upper}: it must be larger")
            return self

    options: Options

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """Cos(θ_y + m(a))."""
        margin = self._margin(rows.live_norm)
        if self.options.easy_margin:
            return torch.where(label_cosine > 0, add_angle(label_cosine, margin), label_cosine)
        return add_margin(label_cosine, margin)

    def penalty(self, norms: Tensor) -> Tensor:
        """λ_g · (a / u_a² + 1 / a)."""
        clipped = self._clipped(norms)
        return self.options.penalty_weight * (clipped / self.options.upper_norm**2 + 1 / clipped)

    def _margin(self, norms: Tensor) -> Tensor:
        options = self.options
        slope = (options.upper_margin - options.lower_margin) / (options.upper_norm - options.lower_norm)
        return options.lower_margin + slope * (self._clipped(norms) - options.lower_norm)

    def _clipped(self, norms: Tensor) -> Tensor:
        return norms.clamp(self.options.lower_norm, self.options.upper_norm)
