"""CosFace, also known as AM-Softmax: a margin on the cosine.

Papers: Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018, arXiv 1801.09414;
Wang et al., "Additive Margin Softmax for Face Verification", IEEE SPL 2018, arXiv 1801.05599.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_y = s · (cos θ_y - m)
    z_j = s · cos θ_j,  j ≠ y

Defaults: s = 64, m = 0.35 (CosFace, and insightface's first code); AM-Softmax has s = 30, m = 0.35; insightface's
configurations for Glint360K and WebFace, and AdaFace's comparison, have m = 0.4.

Paper and code: they agree. Some code applies m only where cos θ_y > 0 or cos θ_y > m; that is not offered here.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from noisebench.heads.head import Rows
from noisebench.heads.margin_softmax import MarginSoftmax


class CosFace(MarginSoftmax):
    """The label's cosine must win by a margin."""

    class Options(MarginSoftmax.Options):
        """Options of CosFace."""

        margin: float = Field(default=0.35, ge=0, lt=2, description="m, on the cosine.")

    options: Options

    def target(self, label_cosine: Tensor, rows: Rows) -> Tensor:
        """Cos θ_y - m."""
        return label_cosine - self.options.margin
