"""Combined margin: factor, margin on the angle and margin on the cosine at once.

Paper: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv 1801.07698,
which calls the settings CM1 and CM2.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_y = s · (ψ(m1 · θ_y + m2) - m3)
    z_j = s · cos θ_j,  j ≠ y
    ψ(α) = (-1)^k · cos α - 2k,  k = floor(α / π): the cosine as far as π, and falling on beyond, as in SphereFace

Defaults: s = 64, m1 = 1, m2 = 0.3, m3 = 0.2 (CM1; insightface's MXNet code). CM2 has 0.9, 0.4, 0.15. ArcFace is
1, 0.5, 0 (but for its fallback beyond π), CosFace 1, 0, 0.35, and the paper's SphereFace without annealing 1.35, 0, 0.

Paper and code: the paper and insightface's MXNet code have cos(m1 · θ_y + m2) - m3, which rises again beyond π. They
agree with this file while m1 · θ_y + m2 <= π. arcface_torch takes the three numbers, but with m3 > 0 it leaves m1 and
m2 out without a word: its 1, 0.3, 0.2 is `cosface` with a margin of 0.2.

Variants: ``variant="insightface"``, the MXNet code's cosine instead of ψ.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import angle_of
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class CombinedMargin(MarginSoftmax):
    """SphereFace's, ArcFace's and CosFace's margins, all three."""

    class Options(MarginSoftmax.Options):
        """Options of the combined margin."""

        m1: float = Field(default=1.0, gt=0, le=10, description="Factor of the label's angle.")
        m2: float = Field(default=0.3, ge=0, lt=math.pi, description="Margin on the angle, in radians.")
        m3: float = Field(default=0.2, ge=0, lt=2, description="Margin on the cosine.")
        variant: Literal["monotone", "insightface"] = Field(
            default="monotone", description="Beyond an angle of 180 degrees: falling on, or rising again."
        )

    options: Options

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """ψ(m1 · θ_y + m2) - m3."""
        options = self.options
        angle = options.m1 * angle_of(label_cosine) + options.m2
        if options.variant == "insightface":
            return angle.cos() - options.m3
        turns = (angle.detach() / math.pi).floor()
        return (1 - 2 * (turns % 2)) * angle.cos() - 2 * turns - options.m3
