"""MV-Arc-Softmax: ArcFace that adds weight to the classes a sample is mistaken for.

Paper: Wang et al., "Mis-classified Vector Guided Softmax Loss for Face Recognition", AAAI 2020, arXiv 1912.00833.

Formula, with θ_j the angle between embedding and centre of class j, y the label, and φ(θ_y) the target:

    z_y = s · φ(θ_y),  φ(θ) = cos(θ + m) where cos θ > 0, else cos θ
    z_j = s · ((1 + t) · cos θ_j + t)                where cos θ_j > φ(θ_y): j is mistaken for y
          s · cos θ_j                                else

No gradient goes through the comparison. There is no state.

Defaults: m = 0.5, t = 0.2, adaptive, easy margin (official code). s = 64, for this suite keeps scale the same for all
methods; the code has 32. FaceX-Zoo has t = 0.12.

Paper and code: they agree. BoundaryFace's code, whose tables are often quoted, has another method under this name; it
is the recipe ``mv_arc_boundaryface``.

Variants:

- ``emphasis="fixed"``: cos θ_j + t for the mistaken classes.
- ``easy_margin=False``: ArcFace's fallback beyond π in place of the easy margin.
- ``clamp``: target and other logits are held within ±s, where their gradient ends.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import above, add_angle, add_margin
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class MVArc(MarginSoftmax):
    """Classes that beat the label with its margin count for more."""

    class Options(MarginSoftmax.Options):
        """Options of MV-Arc-Softmax."""

        margin: float = Field(default=0.5, ge=0, lt=math.pi, description="m, in radians.")
        t: float = Field(default=0.2, ge=0, description="How much the classes mistaken for the label gain.")
        emphasis: Literal["adaptive", "fixed"] = Field(
            default="adaptive", description="Whether they gain t · (1 + cosine), or t."
        )
        easy_margin: bool = Field(default=True, description="No margin beyond 90 degrees.")
        clamp: bool = Field(default=False, description="Hold the changed cosines within -1 and 1.")

    options: Options

    def with_margin(self, cosine: Tensor) -> Tensor:
        """The label's cosine with its margin; any shape."""
        if self.options.easy_margin:
            return torch.where(cosine > 0, add_angle(cosine, self.options.margin), cosine)
        return add_margin(cosine, self.options.margin)

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """φ(θ_y)."""
        return self._clamped(self.with_margin(label_cosine))

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """(1 + t) · cos θ_j + t for the classes mistaken for the label."""
        gain = above(cosines, self.with_margin(label_cosine)).mul_(self.options.t)
        factor = 1 + gain if self.options.emphasis == "adaptive" else 1
        return self._clamped(factor * cosines + gain)

    def _clamped(self, changed: Tensor) -> Tensor:
        return changed.clamp(-1, 1) if self.options.clamp else changed
