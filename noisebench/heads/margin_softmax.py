"""The engine of every margin softmax: cross-entropy on scaled cosines that a method has changed."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from noisebench.heads.cosines import Cosines, unit_vectors
from noisebench.heads.head import Head, HeadOutput, Rows
from noisebench.heads.log_sum_exp import label_and_rest


class MarginSoftmax(Head):
    """Softmax cross-entropy over the logits scale · cos θ, changed by a method.

    A method says what it does to one row of cosines, by overriding any of

    - `target`: the cosine of the label with its margin;
    - `others`: what becomes of the cosines to the other classes;
    - `relabel`: another label than the one given;
    - `update`: global state that follows the batches, in buffers changed in place.

    They are called in the order `relabel`, `update`, `others`, `target`. Whatever precision embeddings come in and
    autocast asks for, all is computed in the centres' precision, float32.
    """

    class Options(Head.Options):
        """Options of every margin softmax."""

        scale: float = Field(default=64.0, gt=0, description="s, the factor of all logits.")

    options: Options

    def target(self, label_cosine: Tensor, rows: Rows) -> Tensor:
        """The label's cosine with its margin, [B] to [B], differentiable."""
        return label_cosine

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: Rows) -> Tensor:
        """The cosines [B, n] to any n classes as they enter the softmax, element by element, differentiable.

        What it returns at a row's own label is ignored. It must not change state, for it is called again in backward.

        Args:
            cosines: A block of the cosine matrix, [B, n]; not to be changed in place.
            label_cosine: Cosine to the label the loss uses, detached, [B, 1].
            rows: Statistics of the rows, each [B].
        """
        return cosines

    def relabel(self, rows: Rows) -> Tensor:
        """The labels to use, int64 [B]; ``rows.used_label`` are those given."""
        return rows.used_label

    def update(self, rows: Rows) -> None:
        """Bring state up to date with this batch, before it is used; called in training only, without gradient."""

    def forward(self, embeddings: Tensor, labels: Tensor, true_labels: Tensor | None = None) -> HeadOutput:
        """The loss of a batch; see `Head`."""
        self.check_batch(embeddings, labels, true_labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            units, norms = unit_vectors(embeddings.to(self.centres.dtype))
            cosines = Cosines(units.detach(), self.centres.detach())
            rows, used_cosine = self._prepare(cosines, norms.detach(), labels, true_labels)
            label_cosine, rest = label_and_rest(
                units,
                self.centres,
                cosines,
                rows.used_label,
                lambda block: self.others(block, used_cosine[:, None], rows),
                self.options.scale,
                self.buffers(),
            )
            target = self.options.scale * self.target(label_cosine, rows)
            loss = F.softplus(rest - target).mean()  # -log p = log(1 + exp(rest - target))
        return HeadOutput(loss, rows)

    @torch.no_grad()
    def _prepare(
        self, cosines: Cosines, norms: Tensor, labels: Tensor, true_labels: Tensor | None
    ) -> tuple[Rows, Tensor]:
        """Statistics of the rows with the labels to use, and the cosines [B] to these; state is up to date after."""
        nearest_cosine, nearest = cosines.nearest(labels)
        rows = Rows(
            cosine_label=cosines.at(labels),
            cosine_true=torch.full_like(norms, torch.nan) if true_labels is None else cosines.at(true_labels),
            cosine_nearest=nearest_cosine,
            nearest=nearest,
            norm=norms,
            used_label=labels,
        )
        rows = replace(rows, used_label=self.relabel(rows))
        if self.training:
            self.update(rows)
        return rows, cosines.at(rows.used_label)
