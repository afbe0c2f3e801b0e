"""ArcFace: a margin on the angle.

Paper: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv 1801.07698.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_y = s · cos(θ_y + m)                  while θ_y + m <= π
          s · (cos θ_y - m · sin m)         beyond: the fallback, for cos(θ_y + m) would rise again
    z_j = s · cos θ_j,  j ≠ y

Defaults: s = 64, m = 0.5 (paper, insightface). BoundaryFace's code has s = 32 and m = 0.5, and its tables at 40 % mixed
noise m = 0.3 or 0.5.

Paper and code: the gradient here is that of the formula, s · sin(θ_y + m) / sin θ_y at the label, as in the paper and
insightface's MXNet code. The fallback is in the code of 2018 and most that came after, not in the paper's formula.

Variants:

- ``variant="insightface"``: arcface_torch since December 2022. The margin is written into the logits outside of
  autograd, so the softmax sees it and the chain rule does not: the gradient at the label is s. No fallback.
- ``variant="mxnet"``: insightface's later MXNet code. The true gradient, no fallback: z_y rises again beyond π.
- ``variant="saturating"``: AdaFace's comparison. Beyond π z_y stays at -s, without gradient. (Its code also clips all
  cosines to ±0.9999, which this file does not.)
- ``easy_margin``: the margin only where cos θ_y > 0, else none; no fallback needed (default in MagFace's and
  SV-X-Softmax's code).
"""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from noisebench.heads.angular import add_angle, add_margin
from noisebench.heads.head import Rows
from noisebench.heads.margin_softmax import MarginSoftmax


class ArcFace(MarginSoftmax):
    """The label's angle must win by a margin."""

    class Options(MarginSoftmax.Options):
        """Options of ArcFace."""

        margin: float = Field(default=0.5, ge=0, lt=math.pi, description="m, in radians.")
        easy_margin: bool = Field(default=False, description="No margin beyond 90 degrees.")
        variant: Literal["paper", "insightface", "mxnet", "saturating"] = Field(
            default="paper", description="Whose gradient at the label, and what is done beyond 180 degrees."
        )

        @model_validator(mode="after")
        def _no_contradiction(self) -> Self:
            if self.easy_margin and self.variant != "paper":
                raise ValueError(f"easy_margin is true, but variant '{self.variant}' has no easy margin: choose one")
            return self

    options: Options

    def target(self, label_cosine: Tensor, rows: Rows) -> Tensor:
        """Cos(θ_y + m), as the options have it."""
        margin, variant = self.options.margin, self.options.variant
        with_margin = add_angle(label_cosine, margin)
        if self.options.easy_margin:
            return torch.where(label_cosine > 0, with_margin, label_cosine)
        if variant == "insightface":
            return label_cosine + (with_margin - label_cosine).detach()
        if variant == "mxnet":
            return with_margin
        if variant == "saturating":
            return torch.where(label_cosine > math.cos(math.pi - margin), with_margin, -1.0)
        return add_margin(label_cosine, margin)
