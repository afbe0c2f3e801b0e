"""ElasticFace: a margin drawn at random for every sample and step.

Paper: Boutros et al., "ElasticFace: Elastic Margin Loss for Deep Face Recognition", CVPR Workshops 2022,
arXiv 2109.09416.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    m_i ~ Normal(m, σ), for each sample i of the global batch
    z_y = s · cos(θ_y + m_i)                         with ArcFace's fallback beyond π
          s · (cos θ_y - m_i)                        where the margin is on the cosine
    z_j = s · cos θ_j,  j ≠ y

Margins come from a generator of the head's own, which is saved and resumed and draws alike in all processes; no other
generator is touched. Outside of training m_i = m.

Defaults: s = 64, m = 0.5, σ = 0.05 (official code, ElasticFace-Arc). The recipes ``elasticface_cos``,
``elasticface_arc_plus`` and ``elasticface_cos_plus`` are the paper's other settings.

Paper and code: the official code has no fallback: ``variant="official"``. In it each process draws from the global
generator.

Variants: ``plus`` gives larger margins to samples further from their centre, by the order of cosines in the batch. The
official code means to, but indexes by the wrong permutation, so that margins stay random: to have that, leave ``plus``
off and take its smaller σ (0.0175 for Arc, 0.02 for Cos).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import add_angle, add_margin
from noisebench.heads.collective import own_slice
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows
from noisebench.methods._random import SavedGenerator


class ElasticFace(MarginSoftmax):
    """The label must win by a margin that is never the same."""

    class Options(MarginSoftmax.Options):
        """Options of ElasticFace."""

        margin: float = Field(default=0.5, ge=0, lt=math.pi, description="m, mean of the margins.")
        std: float = Field(default=0.05, ge=0, description="σ, standard deviation of the margins.")
        margin_on: Literal["angle", "cosine"] = Field(default="angle", description="Arc (in radians) or Cos.")
        plus: bool = Field(default=False, description="Larger margins for samples further from their centre.")
        variant: Literal["paper", "official"] = Field(
            default="paper", description="With ArcFace's fallback beyond 180 degrees, or without."
        )

    options: Options

    def __init__(self, *, seed: int = 0, **settings: Any) -> None:
        super().__init__(seed=seed, **settings)
        self.margins = self.centres.new_empty(0)
        self.generator = SavedGenerator(seed, "margins")

    def update(self, rows: MethodRows) -> None:
        """Draw the margins of the global batch."""
        options, cosines = self.options, rows.cosine_label
        margins = options.margin + options.std * self.generator.normal(len(cosines)).to(cosines)
        if options.plus:
            nearest_first = cosines.argsort(descending=True, stable=True)
            margins = torch.empty_like(margins).scatter_(0, nearest_first, margins.sort().values)
        self.margins = margins

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """The label's cosine with its margin."""
        margin = self._own_margins(label_cosine)
        if self.options.margin_on == "cosine":
            return label_cosine - margin
        if self.options.variant == "official":
            return add_angle(label_cosine, margin)
        return add_margin(label_cosine, margin)

    def _own_margins(self, label_cosine: Tensor) -> Tensor:
        """Those of the rows at hand: of all processes where they share the classes, else of this one."""
        if not self.training:
            return torch.full_like(label_cosine, self.options.margin)
        return self.margins if self.classes.world_size > 1 else self.margins[own_slice(len(label_cosine))]
