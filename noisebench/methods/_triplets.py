"""What losses on triplets share: no softmax and no centres of their own, but the interface of every head."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from noisebench.heads.classes import Classes
from noisebench.heads.collective import gather, gather_live
from noisebench.heads.cosines import Cosines, unit_vectors
from noisebench.heads.head import Head, HeadOutput, Rows
from noisebench.heads.rows import search

PULL = 64.0  # as strong as a softmax's with a scale of 64, to a label that has no probability yet
CLASSES_PER_BLOCK = 1024


class Triplets(NamedTuple):
    """Rows of the global batch, each int64 [T]."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


class TripletHead(Head):
    """The mean of a loss over triplets picked from the global batch; 0 if there are none.

    The loss knows no class centres, but the logs do. So ``centres`` follow: the gradient of each draws it to the unit
    embeddings labelled as its class, towards their mean. That gradient does not reach the embeddings, and the value of
    the loss has no part of it. ``rows`` are cosines to these centres, as for any other method.
    """

    class Options(Head.Options):
        """Options of every loss on triplets."""

        margin: float = Field(default=0.3, ge=0, description="α, by which the negative must be further away.")

    options: Options

    @abstractmethod
    def pick(self, squared: Tensor, labels: Tensor) -> Triplets:
        """Choose triplets by the squared distances [N, N] of unit embeddings, without gradient."""

    @abstractmethod
    def distance(self, cosine: Tensor) -> Tensor:
        """Distance of unit vectors by their cosine, element by element, differentiable."""

    def forward(self, embeddings: Tensor, labels: Tensor, true_labels: Tensor | None = None) -> HeadOutput:
        """The loss of a batch; see `Head`. With several processes, that of all their batches."""
        self.check_batch(embeddings, labels, true_labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            units, norms = unit_vectors(embeddings.to(self.centres.dtype))
            rows = self._rows(units.detach(), norms.detach(), labels, true_labels)
            units, labels = gather_live(units, partial=False), gather(labels)
            return HeadOutput(self._loss(units, labels) + self._following(units.detach(), labels), rows)

    def _loss(self, units: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            anchors, positives, negatives = self.pick(2 - 2 * units @ units.T, labels)
        near, far = ((units[anchors] * units[others]).sum(dim=1) for others in (positives, negatives))
        losses = (self.distance(near) - self.distance(far) + self.options.margin).relu()
        return losses.sum() / max(len(losses), 1)

    def _following(self, units: Tensor, labels: Tensor) -> Tensor:
        """A term of value 0 with the centres' gradient."""
        pull = -PULL * (unit_vectors(self.centres[labels])[0] * units).sum(dim=1).mean()
        return pull - pull.detach()

    @torch.no_grad()
    def _rows(self, units: Tensor, norms: Tensor, labels: Tensor, true_labels: Tensor | None) -> Rows:
        cosines = Cosines(
            units,
            self.centres.detach(),
            Classes(self.num_classes),
            classes_per_block=CLASSES_PER_BLOCK,
            stored=False,
            dtype=units.dtype,
        )
        found = search(cosines, labels, norms.new_empty(len(norms), 0))
        return Rows(
            cosine_label=cosines.at(labels),
            cosine_true=torch.full_like(norms, torch.nan) if true_labels is None else cosines.at(true_labels),
            cosine_nearest=found.cosine,
            nearest=found.nearest,
            norm=norms,
            used_label=labels,
        )
