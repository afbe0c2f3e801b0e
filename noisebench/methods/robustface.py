"""RobustFace: ArcFace that emphasises hard classes and lets go of those it takes for the sample's true class.

Paper: "AdaNH-Face: Adaptive Mining of Noise and Hard Samples for Robust Face Recognitions", the name RobustFace's code
was first published under (github.com/DeepFaceCode/RobustFace).

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    T_hard  = cos(θ_y + m)                       with ArcFace's fallback beyond π
    T_noise = cos(θ_y + m1)                      where cos θ_y <= cos m1, else cos θ_y - m1 · sin m1
    z_y = s · T_hard
    z_j = s · max((1 - φ/κ)^γ · cos θ_j, 0)      where cos θ_j > T_noise: noise, j may be the true class
          s · (1 + t) · cos θ_j                  else where cos θ_j > T_hard: hard
          s · cos θ_j                            else: easy
    m1  = (1 - φ/κ) · m1                         from -0.15, before each batch
    φ   = 0.01 · easy fraction of all (sample, class) pairs + 0.99 · φ, from 0, before each batch's logits
    κ   = 1 - noise rate

No gradient goes through comparisons, m1 and φ. Both are buffers, fed by the global batch, the same in all processes,
saved and resumed. ``counts`` holds how many pairs of the epoch were easy, noise and hard; the label's own pair counts.

Defaults: s = 64, m = 0.5, m1 = -0.15, t = 0.2, γ = 2, rate 0.01 (code). The noise rate, which κ has to be told, is 0:
nothing is known, and κ = 1 (code's setting for MS-Celeb-1M).

Paper and code: the figure beside the code is the one formula of its authors at hand: ``variant="figure"``, where noise
has the weight (1 - φ)^γ without κ, and negative cosines stay. With κ < 1 the code's weight rises again once φ > κ. m1
vanishes within tens of batches as soon as most pairs are easy; from then on noise is any class nearer than the label.
In the code m1 and φ are each process's own and are not saved.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import above, add_angle, add_margin
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class RobustFace(MarginSoftmax):
    """Classes nearer than the label count for less, those near it for more."""

    class Options(MarginSoftmax.Options):
        """Options of RobustFace."""

        margin: float = Field(default=0.5, ge=0, lt=math.pi, description="m, in radians.")
        noise_margin: float = Field(default=-0.15, gt=-math.pi / 2, le=0, description="m1 at first, in radians.")
        t: float = Field(default=0.2, ge=0, description="How much hard classes gain.")
        gamma: int = Field(default=2, ge=0, description="γ, exponent of the weight of noise.")
        rate: float = Field(default=0.01, gt=0, le=1, description="Weight of a batch in the moving average φ.")
        noise_rate: float = Field(default=0.0, ge=0, lt=1, description="Noisy fraction of the training set, if known.")
        variant: Literal["code", "figure"] = Field(
            default="code", description="Whether noise has the code's weight or that of its authors' figure."
        )

    options: Options
    m1: Tensor
    phi: Tensor
    counts: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("m1", torch.tensor(self.options.noise_margin))
        self.register_buffer("phi", torch.zeros(()))
        self.register_buffer("counts", torch.zeros(3, dtype=torch.int64))

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Count the epoch's pairs from 0."""
        super().begin_epoch(epoch, num_epochs)
        self.counts.zero_()

    def count_above(self, rows: MethodRows) -> Tensor | None:
        """The thresholds of hard and noise, [B, 2]."""
        return self._thresholds(rows.cosine_label, self.m1 * self._decay()) if self.training else None

    def update(self, rows: MethodRows) -> None:
        """Let m1 decay, count easy, noise and hard pairs, and let φ follow the easy ones."""
        self.m1.mul_(self._decay())
        label_above = rows.cosine_label[:, None] > self._thresholds(rows.cosine_label, self.m1)
        hard, noise = (rows.num_above + label_above).sum(dim=0)
        pairs = len(rows.label) * self._num_classes_used()
        self.counts += torch.stack([pairs - hard, noise, hard - noise])
        self.phi.lerp_(((pairs - hard) / pairs).to(self.phi), self.options.rate)

    def monitored(self) -> dict[str, Tensor]:
        """φ, m1, and the fractions of the epoch's pairs so far that were easy, noise and hard."""
        easy, noise, hard = (self.counts / self.counts.sum().clamp(min=1)).unbind()
        return {"phi": self.phi.clone(), "m1": self.m1.clone(), "easy": easy, "noise": noise, "hard": hard}

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """Cos(θ_y + m), with fallback."""
        return add_margin(label_cosine, self.options.margin)

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """The cosines, emphasised where hard, weakened where noise."""
        return cosines * self._factors(cosines.detach(), label_cosine)

    @torch.no_grad()
    def _factors(self, cosines: Tensor, label_cosine: Tensor) -> Tensor:
        """What each cosine is multiplied by: made apart, so that backward is one product."""
        hard, noise = self._thresholds(label_cosine, self.m1).unbind(dim=-1)
        factors = above(cosines, hard).mul_(self.options.t).add_(1)
        if self.options.variant == "code":
            weak = self._decay() ** self.options.gamma
            weakened = above(weak * cosines, weak.new_zeros(())).mul_(weak)
        else:
            weakened = (1 - self.phi) ** self.options.gamma
        return factors.lerp_(weakened.expand_as(factors), above(cosines, noise))

    def _decay(self) -> Tensor:
        """1 - φ/κ."""
        return 1 - self.phi / (1 - self.options.noise_rate)

    def _thresholds(self, label_cosine: Tensor, m1: Tensor) -> Tensor:
        """T_hard and T_noise, in a last dimension of their own."""
        noise = torch.where(label_cosine <= m1.cos(), add_angle(label_cosine, m1), label_cosine - m1 * m1.sin())
        return torch.stack([add_margin(label_cosine, self.options.margin), noise], dim=-1)

    def _num_classes_used(self) -> Tensor | int:
        """How many classes this step computes with, over all processes."""
        if self.sample is None:
            return self.num_classes
        return self.classes.sum(self.counts.new_tensor(len(self.sample)))
