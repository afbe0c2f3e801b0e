"""SCE: symmetric cross-entropy, which adds the cross-entropy of the label given the prediction.

Paper: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, arXiv 1908.06112.

Formula, with p_j the softmax probability of class j, p that of the label, and q the one-hot label with ε in place of 0:

    loss = α · (-log p) + β · (-Σ_j p_j · log q_j) = -α · log p - β · log ε · (1 - p)

Defaults: α = 6, β = 0.1 (code, for CIFAR-100, its set of most classes; CIFAR-10 has 0.1 and 1, MNIST 0.01 and 1),
ε = 0.0001 (code). The margin is 0, for the paper knows none; with one it is `arcface`'s. α is a factor of the learning
rate too.

Paper and code: the code holds p >= 0.0000001 in the first term, so a sample below that has no gradient from it, as all
have at first where s is 64: ``variant="official"``.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from noisebench.heads.head import Rows
from noisebench.methods.arcface import ArcFace

SMALLEST_PROBABILITY = 1e-7


class SCE(ArcFace):
    """Cross-entropy and mean absolute error, side by side."""

    class Options(ArcFace.Options):
        """Options of SCE."""

        margin: float = Field(default=0.0, ge=0, lt=math.pi, description="m, in radians.")
        alpha: float = Field(default=6.0, ge=0, description="α, weight of the cross-entropy.")
        beta: float = Field(default=0.1, ge=0, description="β, weight of the reverse cross-entropy.")
        epsilon: float = Field(default=1e-4, gt=0, lt=1, description="ε, what stands for 0 under the logarithm.")
        clip: bool = Field(default=False, description="No gradient of -log p where p is below 0.0000001.")

    options: Options

    def row_loss(self, target: Tensor, rest: Tensor, rows: Rows) -> Tensor:
        """-α · log p - β · log ε · (1 - p)."""
        cross_entropy, improbability = F.softplus(rest - target), (rest - target).sigmoid()
        if self.options.clip:
            cross_entropy = cross_entropy.clamp(max=-math.log(SMALLEST_PROBABILITY))
        reverse = -math.log(self.options.epsilon) * improbability
        return self.options.alpha * cross_entropy + self.options.beta * reverse
