"""CurricularFace: ArcFace that turns to hard negatives as training advances.

Paper: Huang et al., "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition", CVPR 2020,
arXiv 2004.00288.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_y = s · cos(θ_y + m)                           with ArcFace's fallback beyond π
    z_j = s · cos θ_j · (t + cos θ_j)                where cos θ_j > cos(θ_y + m): j is hard
          s · cos θ_j                                else
    t   = 0.01 · mean of cos θ_y + 0.99 · t          from 0, before each batch's logits

A hard negative is weakened while t + cos θ_j < 1, so early training passes over it; later it is strengthened.
t is a buffer, fed by the plain cosines of the global batch, the same in all processes, saved and resumed. No gradient
goes through t or through the comparison.

Defaults: s = 64, m = 0.5, rate 0.01 (official code). BoundaryFace's copy has s = 32.

Paper and code: the paper writes the average with α = 0.99 on the new value and the sum of cosines; the code has 0.01
and the mean, and so has this file. The comparison is with cos(θ_y + m) without fallback, as in the official code;
RobustFace's copy compares with the fallback. In the official code t is each process's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import above, add_angle, add_margin
from noisebench.heads.head import Rows
from noisebench.heads.margin_softmax import MarginSoftmax


class CurricularFace(MarginSoftmax):
    """Hard negatives count for less at first and for more at last."""

    class Options(MarginSoftmax.Options):
        """Options of CurricularFace."""

        margin: float = Field(default=0.5, ge=0, lt=math.pi, description="m, in radians.")
        rate: float = Field(default=0.01, gt=0, le=1, description="Weight of a batch in the moving average t.")

    options: Options
    t: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("t", torch.zeros(()))

    def update(self, rows: Rows) -> None:
        """Let t follow the mean cosine to the label."""
        self.t.lerp_(rows.cosine_label.mean(), self.options.rate)

    def monitored(self) -> dict[str, Tensor]:
        """The t of the last step."""
        return {"t": self.t.clone()}

    def target(self, label_cosine: Tensor, rows: Rows) -> Tensor:
        """Cos(θ_y + m), with fallback."""
        return add_margin(label_cosine, self.options.margin)

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: Rows) -> Tensor:
        """Cos θ_j · (t + cos θ_j) for the hard ones."""
        is_hard = above(cosines, add_angle(label_cosine, self.options.margin))
        return cosines * torch.addcmul(1 - is_hard, is_hard, self.t + cosines)
