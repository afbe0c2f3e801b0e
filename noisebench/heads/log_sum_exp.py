"""The one operation on the whole cosine matrix: its log-sum-exp over all classes but the label, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from noisebench.heads.cosines import Cosines, fill_labels


def label_and_rest(
    units: Tensor,
    centres: Tensor,
    cosines: Cosines,
    labels: Tensor,
    others: Callable[[Tensor], Tensor],
    scale: float,
    state: Iterable[Tensor] = (),
) -> tuple[Tensor, Tensor]:
    """The label's cosine and the log-sum-exp over the other classes of scale · others(cosines): [B] and [B].

    Both are differentiable in ``units`` and ``centres``; each row's label is left out of the sum exactly, so that a
    loss made of the two keeps its digits however near the probability of the label is to 0 or 1.

    Args:
        units: Unit embeddings [B, D].
        centres: Class centres [C, D].
        cosines: The cosines of the two; backward turns them, in place, into their gradient.
        labels: int64 [B].
        others: Element-wise on any block of cosines [B, n], in torch operations that can be differentiated. It is
            called again in backward. To return its argument itself leaves the cosines as they are and costs nothing.
        scale: Factor of the logits.
        state: Tensors ``others`` depends on; changing one in place before backward is then an error.
    """
    label_cosine, rest = _LabelAndRest.apply(units, centres, cosines, labels, others, scale, *state)  # type: ignore[no-untyped-call]
    return label_cosine, rest


class _LabelAndRest(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        units: Tensor,
        centres: Tensor,
        cosines: Cosines,
        labels: Tensor,
        others: Callable[[Tensor], Tensor],
        scale: float,
        *state: Tensor,
    ) -> tuple[Tensor, Tensor]:
        rest = units.new_full(labels.shape, -math.inf)
        for start, block in cosines:
            logits = others(block) * scale
            fill_labels(logits, start, labels, -math.inf)
            rest = torch.logaddexp(rest, torch.logsumexp(logits, dim=1))
        ctx.save_for_backward(units, centres, labels, rest, *state)
        ctx.cosines, ctx.others, ctx.scale = cosines, others, scale
        return cosines.at(labels), rest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_label: Tensor, grad_rest: Tensor) -> tuple[Tensor | None, ...]:
        units, centres, labels, rest, *_ = ctx.saved_tensors
        grad_units, grad_centres = torch.zeros_like(units), torch.empty_like(centres)
        with torch.autocast(units.device.type, enabled=False):
            for start, block in ctx.cosines.take():
                here = slice(start, start + block.shape[1])
                inverse_norms = ctx.cosines.inverse_norms[here]
                grad = _softmax_gradient(block, start, labels, rest, grad_rest * ctx.scale, ctx.others, ctx.scale)
                fill_labels(grad, start, labels, grad_label)
                # d cos / d centre = (unit - cos · centre / |centre|) / |centre|; the second part sums over the rows.
                along = block.mul_(grad).sum(dim=0).mul_(inverse_norms.square())
                grad.mul_(inverse_norms)
                grad_units.addmm_(grad, centres[here])
                torch.mm(grad.T, units, out=grad_centres[here]).addcmul_(centres[here], along[:, None], value=-1)
        return grad_units, grad_centres, *[None] * (len(ctx.needs_input_grad) - 2)


def _softmax_gradient(
    block: Tensor,
    start: int,
    labels: Tensor,
    rest: Tensor,
    weight: Tensor,
    others: Callable[[Tensor], Tensor],
    scale: float,
) -> Tensor:
    """Gradient of weight [B] times the log-sum-exp with respect to a block of cosines; 0 at the labels."""
    with torch.enable_grad():
        cosines = block.detach().requires_grad_()
        changed = others(cosines)
    softmax = torch.add(-rest[:, None], changed.detach(), alpha=scale).exp_().mul_(weight[:, None])
    fill_labels(softmax, start, labels, 0.0)
    if changed is cosines:
        return softmax
    return torch.autograd.grad(changed, cosines, softmax)[0]
