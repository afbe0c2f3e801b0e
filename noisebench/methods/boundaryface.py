"""BoundaryFace: BoundaryF1, and a penalty on samples that stand beyond the boundary to their nearest wrong class.

Paper: Wu and Gong, "BoundaryFace: A Mining Framework with Noise Label Self-correction for Face Recognition", ECCV 2022,
arXiv 2210.04567.

Formula, with y' the label as `boundaryf1` corrects it and φ its target cosine with margin:

    loss = cross-entropy with y', as in BoundaryF1
           + λ · max(0, max(0, cos θ_j) - max(0, φ(θ_y')))      j ≠ y' the nearest, from the start epoch on

The penalty is the mean over all samples of the batch, without the scale s, and its gradient goes to both centres.

Defaults: λ = π (code, where it is hard-coded); the others are those of BoundaryF1.

Paper and code: the authors report that λ = π collapses on MS1M and advise λ = 0 for heavy noise, which is BoundaryF1.
The class called BoundaryMargin in RobustFace's code computes corrections and penalty and uses neither: it is ArcFace,
and so are the results published for it there.
"""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from noisebench.heads.rows import MethodRows
from noisebench.methods.boundaryf1 import BoundaryF1


class BoundaryFace(BoundaryF1):
    """Corrected labels, and hard samples drawn to the right side of the boundary."""

    class Options(BoundaryF1.Options):
        """Options of BoundaryFace."""

        balance_weight: float = Field(default=math.pi, ge=0, description="λ, of the penalty.")

    options: Options

    def row_loss(self, target: Tensor, rest: Tensor, rows: MethodRows) -> Tensor:
        """The cross-entropy, and how far the nearest wrong class is ahead of the target."""
        loss = super().row_loss(target, rest, rows)
        if not self.corrects:
            return loss
        with_margin = target / self.options.scale
        return loss + self.options.balance_weight * (rows.live_nearest.relu() - with_margin.relu()).relu()
