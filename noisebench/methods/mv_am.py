"""MV-AM-Softmax: CosFace that adds weight to the classes a sample is mistaken for.

Paper: Wang et al., "Mis-classified Vector Guided Softmax Loss for Face Recognition", AAAI 2020, arXiv 1912.00833.

Formula, with θ_j the angle between embedding and centre of class j, y the label, and φ(θ_y) the target:

    z_y = s · φ(θ_y),  φ(θ) = cos θ - m where cos θ > 0, else cos θ
    z_j = s · ((1 + t) · cos θ_j + t)                where cos θ_j > φ(θ_y): j is mistaken for y
          s · cos θ_j                                else

All else is as in `mv_arc`, its variants too; without the easy margin φ(θ) = cos θ - m everywhere.

Defaults: m = 0.35, t = 0.2, adaptive, easy margin (official code). s = 64, for this suite keeps scale the same for all
methods; the code has 32. FaceX-Zoo has t = 0.12 and the margin only where cos θ_y > m.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from noisebench.methods.mv_arc import MVArc


class MVAM(MVArc):
    """Classes that beat the label with its margin count for more."""

    class Options(MVArc.Options):
        """Options of MV-AM-Softmax."""

        margin: float = Field(default=0.35, ge=0, lt=2, description="m, on the cosine.")

    options: Options

    def with_margin(self, cosine: Tensor) -> Tensor:
        """The label's cosine with its margin; any shape."""
        lowered = cosine - self.options.margin
        return torch.where(cosine > 0, lowered, cosine) if self.options.easy_margin else lowered
