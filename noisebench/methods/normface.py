"""NormFace: softmax on cosines whose scale is learned.

Paper: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", ACM MM 2017, arXiv 1704.06369.

Formula, with θ_j the angle between embedding and centre of class j:

    z_j = s · cos θ_j, for the label as for all others; s is learned

s is a parameter like the class centres: it begins at ``scale`` and follows the optimiser's learning rate and weight
decay. A batch that is fitted badly, as wrong labels are, makes it smaller.

Defaults: s begins at 64, as large as this suite keeps it for all methods.

Paper and code: the paper fine-tunes a trained network at a learning rate of 0.001 and less; here training starts from
scratch.

Variants: with a fixed s this is `softmax`.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class NormFace(MarginSoftmax):
    """Cross-entropy over cosines with a scale of its own finding."""

    class Options(MarginSoftmax.Options):
        """Options of NormFace."""

        scale: float = Field(default=64.0, gt=0, description="s before the first step.")

    options: Options

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.learned_scale = nn.Parameter(torch.tensor(self.options.scale))

    def row_scale(self, rows: MethodRows) -> Tensor:
        """S, the same for all rows."""
        return self.learned_scale.expand(len(rows.norm))
