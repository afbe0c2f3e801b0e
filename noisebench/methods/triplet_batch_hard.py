"""Batch-hard triplet loss: every embedding against the furthest of its identity and the nearest of another.

Paper: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017, arXiv 1703.07737.

Formula, with a, p, n unit embeddings:

    loss = mean over anchors of max(0, max over p of |a - p| - min over n of |a - n| + α)

Each embedding of the global batch is an anchor that has another of its identity, and one of another identity, beside
it. The furthest positive is where a wrong label shows, so label noise hits this loss hardest. Class centres are as in
`triplet`.

Defaults: α = 0.3, as for `triplet`.

Paper and code: the paper's embeddings have any length, and its best margin is the soft one, softplus in place of
max(0, ·); on unit embeddings, as faces are compared here, that is far from flat for every triplet, and this file does
without it. Distances are plain, not squared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from noisebench.methods._triplets import TripletHead, Triplets

SMALLEST_SQUARED_DISTANCE = 1e-12


class TripletBatchHard(TripletHead):
    """The hardest triplet of each anchor."""

    class Options(TripletHead.Options):
        """Options of the batch-hard triplet loss."""

    options: Options

    def pick(self, squared: Tensor, labels: Tensor) -> Triplets:
        """For each anchor the furthest positive and the nearest negative."""
        same = labels[:, None] == labels
        is_positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        furthest = torch.where(is_positive, squared, -torch.inf).argmax(dim=1)
        nearest = torch.where(same, torch.inf, squared).argmin(dim=1)
        anchors = (is_positive.any(dim=1) & ~same.all(dim=1)).nonzero().squeeze(1)
        return Triplets(anchors, furthest[anchors], nearest[anchors])

    def distance(self, cosine: Tensor) -> Tensor:
        """The distance."""
        return (2 - 2 * cosine).clamp(min=SMALLEST_SQUARED_DISTANCE).sqrt()
