"""SphereFace, also known as A-Softmax: the angle to the label counts m times, the more so as training advances.

Paper: Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", CVPR 2017, arXiv 1704.08063.

Formula, with x the embedding, θ_j the angle between it and the centre of class j, and y the label:

    z_y = |x| · (λ · cos θ_y + ψ(θ_y)) / (1 + λ)
    z_j = |x| · cos θ_j,  j ≠ y
    ψ(θ) = (-1)^k · cos(m · θ) - 2k,  k = floor(m · θ / π), which falls from 1 to 1 - 2m over all angles
    λ    = max(λ_min, base · (1 + γ · t)^-power) in batch t, counted from 1; base for the first ``lambda_freeze``,
           from whose end t is counted

λ hands over from plain softmax to ψ. The number of batches is a buffer: it is saved and resumed.

Defaults: m = 4, base 1000, γ = 0.12, power 1, λ_min = 5, no freeze (authors' Caffe code). insightface's MXNet code has
the same, and for more than 20,000 classes γ = 0.06 and a freeze of 5,000 batches.

Paper and code: λ is in the code alone; with λ_min = 5 the margin never gets more than a sixth of the weight.

Variants: with ``normalise`` the logits are s · cos θ_j and s takes the place of |x|, as in other methods and in
SV-X-Softmax's code, which has γ = 0.0001 and power 2. Without it, ``scale`` is not used: only centres are normalised,
and the embedding's length is learned.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class SphereFace(MarginSoftmax):
    """The label must win even at a multiple of its angle."""

    class Options(MarginSoftmax.Options):
        """Options of SphereFace."""

        angle_factor: int = Field(default=4, ge=1, le=10, description="m, how many times the label's angle counts.")
        normalise: bool = Field(default=False, description="Embeddings to length `scale`; else they keep their own.")
        lambda_base: float = Field(default=1000.0, ge=0, description="Weight of the plain cosine at first.")
        lambda_gamma: float = Field(default=0.12, ge=0, description="How fast it falls with the batches.")
        lambda_power: float = Field(default=1.0, ge=0, description="Exponent of its fall.")
        lambda_min: float = Field(default=5.0, ge=0, description="Below it, it does not fall.")
        lambda_freeze: int = Field(default=0, ge=0, description="Batches before it begins to fall.")

    options: Options
    num_batches: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))

    def update(self, rows: MethodRows) -> None:
        """Count the batch."""
        self.num_batches += 1

    def monitored(self) -> dict[str, Tensor]:
        """The λ of the last step."""
        return {"lambda": self._lambda(self.centres.dtype)}

    def row_scale(self, rows: MethodRows) -> Tensor | float:
        """|x|, or s."""
        return self.options.scale if self.options.normalise else rows.live_norm

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """The mean of cos θ_y and ψ(θ_y), weighted λ to 1."""
        weight = self._lambda(label_cosine.dtype)
        return (weight * label_cosine + multiply_angle(label_cosine, self.options.angle_factor)) / (1 + weight)

    def _lambda(self, dtype: torch.dtype) -> Tensor:
        options = self.options
        fallen = (self.num_batches - options.lambda_freeze).clamp(min=0).to(dtype)
        weight = options.lambda_base * (1 + options.lambda_gamma * fallen) ** -options.lambda_power
        return weight.clamp(min=options.lambda_min)


def multiply_angle(cosine: Tensor, factor: int) -> Tensor:
    """ψ(θ) where cosine = cos θ: cos(factor · θ), mirrored and shifted so as to fall all the way."""
    last, multiple = torch.ones_like(cosine), cosine
    for _ in range(1, factor):  # Chebyshev's recurrence; unlike the angle, it has a derivative everywhere
        last, multiple = multiple, 2 * cosine * multiple - last
    edges = (math.cos(math.pi * k / factor) for k in range(1, factor))
    k = sum((cosine <= edge).to(cosine.dtype) for edge in edges)
    return (1 - 2 * (k % 2)) * multiple - 2 * k
