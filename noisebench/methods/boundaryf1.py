"""BoundaryF1: ArcFace that corrects a label when another class wins even after paying the margin.

Paper: Wu and Gong, "BoundaryFace: A Mining Framework with Noise Label Self-correction for Face Recognition", ECCV 2022.
BoundaryF1 is its first stage, the correction without the balance term (λ = 0), which its authors recommend for heavy
noise.

Formula, with θ_j the angle between embedding and centre of class j, y the label given, and φ(θ) = cos(θ + m) with
ArcFace's fallback beyond π:

    y' = argmax of φ(θ_j) over j ≠ y        if that maximum > max(cos θ_y, 0), from the start epoch on
         y                                  else
    z_y' = s · φ(θ_y')
    z_j  = s · cos θ_j,  j ≠ y'             and the cross-entropy is with y'

Nothing is corrected that is further than π/2 - m from every wrong centre: the 0 comes from the code's masking by
multiplication. A correction is decided anew for every batch and never written back; ``used_label`` in the log shows it.
φ is monotone in the cosine, so the nearest other class decides.

Defaults: m = 0.5 (code; its tables at 40 % mixed noise m = 0.3 or 0.5). s = 64, for this suite keeps scale the same for
all methods; the code has 32. ``start_epoch``: a third of the epochs, rounded down.

Paper and code: the authors' two scripts name the start differently. Counted from 0, corrections begin in epoch 7 of 30
in one (start 7 of epochs counted from 1) and in epoch 11 of 24 in the other (start 10, exclusive). Here ``start_epoch``
is the first epoch that corrects, counted from 0. Their code does not clamp cosines, so rounding can make it NaN.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import add_margin
from noisebench.heads.head import Rows
from noisebench.heads.margin_softmax import MarginSoftmax


class BoundaryF1(MarginSoftmax):
    """Labels that the network firmly contradicts are replaced by what it says."""

    class Options(MarginSoftmax.Options):
        """Options of BoundaryF1."""

        margin: float = Field(default=0.5, ge=0, lt=math.pi, description="m, in radians.")
        start_epoch: int | None = Field(
            default=None, ge=0, description="First epoch that corrects, from 0; null: a third of the epochs."
        )

    options: Options
    corrects = False

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Correct labels from the start epoch on."""
        super().begin_epoch(epoch, num_epochs)
        start = self.options.start_epoch
        self.corrects = epoch >= (num_epochs // 3 if start is None else start)

    def relabel(self, rows: Rows) -> Tensor:
        """The nearest other class, where it wins with the margin."""
        if not self.corrects:
            return rows.used_label
        wins = add_margin(rows.cosine_nearest, self.options.margin) > rows.cosine_label.clamp(min=0)
        return torch.where(wins, rows.nearest, rows.used_label)

    def target(self, label_cosine: Tensor, rows: Rows) -> Tensor:
        """Cos(θ_y' + m), with fallback."""
        return add_margin(label_cosine, self.options.margin)
