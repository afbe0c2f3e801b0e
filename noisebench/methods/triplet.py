"""Triplet loss: an embedding nearer to one of its identity than to one of another, on semi-hard triplets.

Paper: Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR 2015, arXiv 1503.03832;
the choice of triplets is that of insightface's MXNet code.

Formula, with a, p, n unit embeddings of anchor, positive and negative:

    loss = mean over triplets of max(0, |a - p|² - |a - n|² + α)

Triplets come from a bag of embeddings: for every two of an identity, the earlier one the anchor, n is drawn from those
of other identities with 0 < |a - n|² - |a - p|² < α; where there is none, the pair is skipped. So a mislabelled
positive, far from its anchor, often has no negative and is passed over.

There are no class centres in this loss. The head's ``centres`` follow the mean direction of the embeddings labelled
so, by a gradient of their own that neither reaches the embeddings nor shows in the loss; the logged cosines are to
them. n comes from a generator of the head's own, saved and resumed, alike in all processes.

Defaults: α = 0.3, no limit on |a - p| (code).

Paper and code: the code embeds a bag of 3,600 to 7,200 images, at most 5 of an identity, with the network as it stands,
and then trains on its triplets in batches of 20 to 50. Here the global batch is the bag and gives one step. The loss
wants batches with several images of an identity, best some 5 of each as in the code's bags: an identity with one image
gives negatives only. Batches here are drawn image by image, so an identity has B / N images in a batch of B, where N
identities are alike in size: make the batch several times as large as their number, or expect few triplets. The code
begins with a trained network at a learning rate of 0.005 to 0.05.

Variants: ``angle`` has angles in place of squared distances in the loss, not in the choice; the code's α is 0.35 then,
as in the recipe ``triplet_angle``. Batch-hard triplets are another method, `triplet_batch_hard`.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import angle_of
from noisebench.methods._random import SavedGenerator
from noisebench.methods._triplets import TripletHead, Triplets


class Triplet(TripletHead):
    """Semi-hard triplets, drawn at random."""

    class Options(TripletHead.Options):
        """Options of the triplet loss."""

        angle: bool = Field(default=False, description="Angles (radians) in place of squared distances.")
        max_positive: float | None = Field(
            default=None, gt=0, description="Pairs with a larger squared distance are skipped; null: none."
        )

    options: Options

    def __init__(self, *, seed: int = 0, **settings: Any) -> None:
        super().__init__(seed=seed, **settings)
        self.generator = SavedGenerator(seed, "negatives")

    def pick(self, squared: Tensor, labels: Tensor) -> Triplets:
        """For every pair of an identity a random semi-hard negative."""
        same = labels[:, None] == labels
        anchors, positives = same.triu(diagonal=1).nonzero(as_tuple=True)
        pair, others = squared[anchors, positives][:, None], squared[anchors]
        candidates = ~same[anchors] & (others > pair) & (others - pair < self.options.margin)
        if self.options.max_positive is not None:
            candidates &= pair <= self.options.max_positive
        order = self.generator.uniform(*candidates.shape).to(squared) if self.training else torch.zeros_like(others)
        chosen, negatives = torch.where(candidates, order, -1.0).max(dim=1)
        found = chosen >= 0
        return Triplets(anchors[found], positives[found], negatives[found])

    def distance(self, cosine: Tensor) -> Tensor:
        """The squared distance, or the angle."""
        if self.options.angle:
            return angle_of(cosine)
        return 2 - 2 * cosine
