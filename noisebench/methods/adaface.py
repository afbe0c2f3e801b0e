"""AdaFace: a margin that depends on image quality, for which the embedding's norm stands.

Paper: Kim et al., "AdaFace: Quality Adaptive Margin for Face Recognition", CVPR 2022, arXiv 2204.00964.

Formula, with θ_j the angle between embedding x and centre of class j, and y the label:

    n   = |x| clipped to [0.001, 100]
    q   = h · (n - mean) / (std + 0.001) clipped to [-1, 1]
    z_y = s · (cos(θ_y - m · q) - m - m · q)         the angle clipped to [0.001, π - 0.001]
    z_j = s · cos θ_j,  j ≠ y
    mean = rate · mean of n + (1 - rate) · mean      from 20, before each batch's logits
    std  = rate · standard deviation of n + (1 - rate) · std, from 100; unbiased, and left alone by a batch of one

So the margin is ArcFace's for a low norm, CosFace's for a mean one, and cos(θ_y - m) - 2m for a high one. Mean and
standard deviation are buffers, fed by the global batch, the same in all processes, saved and resumed. No gradient goes
through norm, mean or std.

Defaults: s = 64, m = 0.4, h = 0.333, rate 0.01 (paper, and the official README's commands). The official class has rate
1, which is the batch's own statistics without memory; RobustFace's copy never sets another.

Paper and code: the paper gives the rate as 0.99, on the old value. In the official code each process has statistics of
its own; in its Partial FC successor they are global, as here.

Variants: ``variant="official"`` clips all cosines to ±0.999 first, as the official code does, which ends the gradient
of samples beyond.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import angle_of
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows

SMALLEST_NORM, LARGEST_NORM = 0.001, 100.0
EPSILON = 0.001  # of the code: added to the standard deviation, and how near an angle comes to 0 and π
OFFICIAL_LARGEST_COSINE = 0.999


class AdaFace(MarginSoftmax):
    """Hard samples count for more where quality is high, for less where it is low."""

    class Options(MarginSoftmax.Options):
        """Options of AdaFace."""

        margin: float = Field(default=0.4, ge=0, lt=math.pi / 2, description="m, in radians and on the cosine.")
        h: float = Field(default=0.333, ge=0, description="How much a standard deviation of the norm changes.")
        rate: float = Field(default=0.01, gt=0, le=1, description="Weight of a batch in the moving averages.")
        variant: Literal["paper", "official"] = Field(
            default="paper", description="Cosines as they are, or clipped to ±0.999."
        )

    options: Options
    mean: Tensor
    std: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(100.0))

    def update(self, rows: MethodRows) -> None:
        """Let mean and standard deviation follow the batch's norms."""
        norms = _clipped(rows.norm)
        self.mean.lerp_(norms.mean(), self.options.rate)
        if len(norms) > 1:
            self.std.lerp_(norms.std(), self.options.rate)

    def monitored(self) -> dict[str, Tensor]:
        """Mean and standard deviation of the norms, as averaged."""
        return {"mean": self.mean.clone(), "std": self.std.clone()}

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """Cos(θ_y - m · q) - m - m · q."""
        margin = self.options.margin
        quality = (self.options.h * (_clipped(rows.norm) - self.mean) / (self.std + EPSILON)).clamp(-1, 1)
        angle = angle_of(self._limited(label_cosine))
        return (angle - margin * quality).clamp(EPSILON, math.pi - EPSILON).cos() - margin * (1 + quality)

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """Cos θ_j."""
        return self._limited(cosines)

    def _limited(self, cosines: Tensor) -> Tensor:
        if self.options.variant == "paper":
            return cosines
        return cosines.clamp(-OFFICIAL_LARGEST_COSINE, OFFICIAL_LARGEST_COSINE)


def _clipped(norm: Tensor) -> Tensor:
    return norm.clamp(SMALLEST_NORM, LARGEST_NORM)
