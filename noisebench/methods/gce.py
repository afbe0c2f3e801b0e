"""GCE: generalised cross-entropy, between cross-entropy and mean absolute error, which a wrong label cannot drive far.

Paper: Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", NeurIPS
2018, arXiv 1805.07836.

Formula, with p the softmax probability of the label:

    loss = (1 - p^q) / q                             q → 0: cross-entropy; q = 1: mean absolute error
    loss = (1 - max(p, k)^q) / q                     truncated at k: no gradient where p <= k

Defaults: q = 0.7, not truncated (paper and code; k = 0.5 where they truncate). The margin is 0, for the paper knows
none; with one it is `arcface`'s. Training begins with cross-entropy for a third of the epochs, rounded up: a choice
of this suite, because p^q is next to nothing among thousands of classes before a network has learned anything.

Paper and code: the code decides every ten epochs, by the best network so far, which samples are truncated. Here the
present network decides, as in the paper's formula.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from noisebench.heads.head import Rows
from noisebench.methods.arcface import ArcFace


class GCE(ArcFace):
    """Samples whose label is improbable lose their say."""

    class Options(ArcFace.Options):
        """Options of GCE."""

        margin: float = Field(default=0.0, ge=0, lt=math.pi, description="m, in radians.")
        q: float = Field(default=0.7, gt=0, le=1, description="From cross-entropy, 0, to mean absolute error, 1.")
        truncation: float | None = Field(
            default=None, gt=0, lt=1, description="k, probability up to which a sample teaches nothing; null: none."
        )
        warmup_epochs: int | None = Field(
            default=None, ge=0, description="Epochs of cross-entropy at first; null: a third of all."
        )

    options: Options
    warms_up = False

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Cross-entropy at first."""
        super().begin_epoch(epoch, num_epochs)
        warmup = self.options.warmup_epochs
        self.warms_up = epoch < (math.ceil(num_epochs / 3) if warmup is None else warmup)

    def row_loss(self, target: Tensor, rest: Tensor, rows: Rows) -> Tensor:
        """(1 - p^q) / q."""
        cross_entropy = F.softplus(rest - target)
        if self.warms_up:
            return cross_entropy
        q, k = self.options.q, self.options.truncation
        loss = -torch.expm1(-q * cross_entropy) / q
        return loss if k is None else loss.clamp(max=(1 - k**q) / q)
