"""The engine of every margin softmax: cross-entropy on scaled cosines that a method has changed."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from noisebench.heads.class_head import ClassHead
from noisebench.heads.collective import gather, gather_live, own_slice
from noisebench.heads.cosines import Cosines, unit_vectors
from noisebench.heads.head import HeadOutput
from noisebench.heads.log_sum_exp import compete
from noisebench.heads.rows import MethodRows, search


class MarginSoftmax(ClassHead):
    """Softmax cross-entropy over the logits scale · cos θ, changed by a method.

    A method says what it does to one row of cosines, by overriding any of these hooks, called in this order:

    - `count_above`: thresholds; how many classes lie above them becomes ``rows.num_above``;
    - `relabel`: another label than the one given;
    - `update`: global state that follows the batches, in buffers changed in place;
    - `row_scale`: another scale for each row;
    - `others`: what becomes of the cosines to the other classes (called again in backward);
    - `target`: the cosine of the label with its margin;
    - `row_loss`: another loss than the cross-entropy;
    - `weights`: of each row in the mean loss;
    - `penalty`: a term beside the loss, of the embeddings' norms.

    The loss is the mean of weight · row_loss + penalty. What hooks read of ``rows`` is detached, but for
    ``rows.live_norm`` and ``rows.live_nearest``, which carry their gradient. Whatever precision embeddings come in and
    autocast asks for, all is computed in the centres' precision, float32.
    """

    class Options(ClassHead.Options):
        """Options of every margin softmax."""

        scale: float = Field(default=64.0, gt=0, description="s, the factor of all logits.")
        filter_threshold: float | None = Field(
            default=None,
            gt=-1,
            lt=1,
            description="Classes other than the label with a cosine above it are left out of the softmax: they may be "
            "the true class of a mislabelled sample. (arcface_torch's interclass_filtering_threshold sets their "
            "cosine to 0 instead.)",
        )

    options: Options

    def count_above(self, rows: MethodRows) -> Tensor | None:
        """Thresholds on the cosine, [B] or [B, n] for n counts; ``rows.num_above`` counts other classes above them."""
        return None

    def relabel(self, rows: MethodRows) -> Tensor:
        """The labels to use, int64 [B]; ``rows.used_label`` are those given."""
        return rows.used_label

    def update(self, rows: MethodRows) -> None:
        """Bring state up to date before it is used; called in training only, without gradient.

        Args:
            rows: Those of the whole batch over all processes, so that the state is the same in all.
        """

    def row_scale(self, rows: MethodRows) -> Tensor | float:
        """The factor of a row's logits, for all or [B]; may carry a gradient."""
        return self.options.scale

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """The cosines [B, n] to any n classes as they enter the softmax, element by element, differentiable.

        What it returns at a row's own label is ignored. It must not change state, for it is called again in backward.

        Args:
            cosines: A block of the cosine matrix, [B, n]; not to be changed in place.
            label_cosine: Cosine to the label the loss uses, detached, [B, 1].
            rows: Statistics of the rows, each [B].
        """
        return cosines

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """The label's cosine with its margin, [B] to [B], differentiable; a margin may depend on ``rows.live_norm``."""
        return label_cosine

    def row_loss(self, target: Tensor, rest: Tensor, rows: MethodRows) -> Tensor:
        """The loss of each row [B], the cross-entropy unless overridden.

        The label's probability is sigmoid(target - rest).

        Args:
            target: Logit of the label [B], scaled.
            rest: Log-sum-exp of the logits of all other classes [B].
            rows: Statistics of the rows, each [B].
        """
        return F.softplus(rest - target)  # -log p = log(1 + exp(rest - target))

    def weights(self, rows: MethodRows) -> Tensor | None:
        """Weight of each row in the mean loss [B], without gradient; None for 1."""
        return None

    def penalty(self, norms: Tensor) -> Tensor | None:
        """A term [B] added to the rows' losses, of the embeddings' norms [B], differentiable; None for none."""
        return None

    def forward(self, embeddings: Tensor, labels: Tensor, true_labels: Tensor | None = None) -> HeadOutput:
        """The loss of a batch; see `Head`. Where classes are split over processes, that of all their batches."""
        self.check_batch(embeddings, labels, true_labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            units, norms = unit_vectors(embeddings.to(self.centres.dtype))
            if self.classes.world_size > 1:
                units, norms = gather_live(units, partial=True), gather_live(norms, partial=False)
                labels, true_labels = gather(labels), None if true_labels is None else gather(true_labels)
            cosines = self.cosines(units.detach(), labels)
            sub_centre = cosines.sub_centre(labels) if self.options.sub_centres > 1 else None
            if self.training and sub_centre is not None:
                self.count_sub_centres(labels, sub_centre)
            rows = self._prepare(cosines, norms, labels, true_labels)
            loss, rows = self._loss(units, cosines, rows)
        here = slice(None) if self.classes.world_size == 1 else own_slice(len(embeddings))
        return HeadOutput(loss, rows.plain(here), None if sub_centre is None else sub_centre[here])

    @torch.no_grad()
    def _prepare(self, cosines: Cosines, norms: Tensor, labels: Tensor, true_labels: Tensor | None) -> MethodRows:
        """The rows with the labels to use; state is up to date after."""
        rows = MethodRows(
            partial(search, cosines, labels, norms.new_empty(len(norms), 0)),
            cosine_label=cosines.at(labels),
            cosine_true=torch.full_like(norms, torch.nan) if true_labels is None else cosines.at(true_labels),
            norm=norms.detach(),
            live_norm=norms,
            used_label=labels,
            label=labels,
        )
        thresholds = self.count_above(rows)
        if thresholds is not None:
            rows = rows.searched_by(partial(search, cosines, labels, thresholds))
        rows = rows.but(used_label=self.relabel(rows))
        if self.training:
            self.update(rows if self.classes.world_size > 1 else rows.gathered())
        return rows

    def _loss(self, units: Tensor, cosines: Cosines, rows: MethodRows) -> tuple[Tensor, MethodRows]:
        """The mean loss, and the rows with what became known on the way."""
        with torch.no_grad():
            used_cosine = rows.cosine_label if rows.used_label is rows.label else cosines.at(rows.used_label)
        scale = self.row_scale(rows)
        known = rows  # nothing that the loss makes: the formula, kept for backward, would keep itself alive by it
        label_cosine, rest, live_nearest, nearest = compete(
            units,
            self.centres,
            cosines,
            rows.used_label,
            used_cosine,
            lambda block: self.others(block, used_cosine[:, None], known),
            scale,
            filter_threshold=self.options.filter_threshold,
            state=self.buffers(),
        )
        if rows.used_label is rows.label:
            rows = rows.known(live_nearest.detach(), nearest)
        rows = rows.but(live_nearest=live_nearest)
        losses = self.row_loss(scale * self.target(label_cosine, rows), rest, rows)
        with torch.no_grad():
            weights = self.weights(rows)
        if weights is not None:
            losses = weights * losses
        penalty = self.penalty(rows.live_norm)
        return (losses if penalty is None else losses + penalty).mean(), rows
