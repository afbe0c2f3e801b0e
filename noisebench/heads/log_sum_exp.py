"""The one operation on the whole cosine matrix: its log-sum-exp over all classes but the label, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from noisebench.heads.cosines import Block, Cosines, Place, add_at, fill_at, largest_but


class Competition(NamedTuple):
    """How each row's label stands against the other classes; each [B].

    Attributes:
        label_cosine: Cosine to the label.
        rest: Log-sum-exp of the other classes' logits.
        nearest_cosine: The largest cosine to another class.
        nearest: That class, int64; not differentiable.
    """

    label_cosine: Tensor
    rest: Tensor
    nearest_cosine: Tensor
    nearest: Tensor


def compete(
    units: Tensor,
    centres: Tensor,
    cosines: Cosines,
    labels: Tensor,
    label_cosine: Tensor,
    others: Callable[[Tensor], Tensor],
    scale: Tensor | float,
    *,
    filter_threshold: float | None = None,
    state: Iterable[Tensor] = (),
) -> Competition:
    """The label's cosine and the log-sum-exp over the other classes of scale · others(cosines).

    Differentiable in ``units``, ``centres`` and ``scale``. Each row's label is left out of the sum exactly, so that a
    loss made of the two keeps its digits however near the probability of the label is to 0 or 1.

    Args:
        units: Unit embeddings [B, D].
        centres: Class centres [C, D] or [C, K, D].
        cosines: The cosines of the two; backward uses them up.
        labels: int64 [B].
        label_cosine: The cosines to these, as ``cosines.at`` gives them.
        others: Element-wise on any block of cosines [B, n], in torch operations that can be differentiated. It is
            called again in backward. To return its argument itself leaves the cosines as they are and costs nothing.
        scale: Factor of the logits, for all or for each row [B], not negative.
        filter_threshold: Classes with a cosine above it are left out.
        state: Tensors ``others`` depends on; changing one in place before backward is then an error.
    """
    formula = _Formula(others, filter_threshold)
    return Competition(*_Compete.apply(units, centres, scale, cosines, labels, label_cosine, formula, *state))  # type: ignore[no-untyped-call]


class _Formula(NamedTuple):
    """From cosines to unscaled logits."""

    others: Callable[[Tensor], Tensor]
    filter_threshold: float | None

    def leave_out(self, values: Tensor, block: Block, label: Place, value: float) -> None:
        """Put ``value``, in place, where a class takes no part: the label, and what the filter catches."""
        if self.filter_threshold is not None:
            values.masked_fill_(block.cosines > self.filter_threshold, value)
        fill_at(values, label, value)


class _Compete(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        units: Tensor,
        centres: Tensor,
        scale: Tensor | float,
        cosines: Cosines,
        labels: Tensor,
        label_cosine: Tensor,
        formula: _Formula,
        *state: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        classes = cosines.classes
        positions = classes.positions(labels)
        rest, largest = (units.new_full(labels.shape, -math.inf) for _ in range(2))
        nearest = torch.zeros_like(labels)
        for block in cosines:
            label = block.find(positions)
            nearest, largest = nearer(block, label, nearest, largest)
            rest = torch.logaddexp(rest, _block_log_sum_exp(block, label, formula, scale))
        rest = classes.log_sum_exp(rest)
        largest, nearest = classes.largest(largest, classes.labels(nearest))
        ctx.save_for_backward(units, centres, positions, rest, classes.positions(nearest), *state)
        ctx.scale, ctx.cosines, ctx.formula = scale, cosines, formula
        ctx.mark_non_differentiable(nearest)
        ctx.set_materialize_grads(False)
        return label_cosine.clone(), rest, largest.clamp(-1, 1), nearest

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_label: Tensor | None, grad_rest: Tensor | None, grad_nearest: Tensor | None, _: None
    ) -> tuple[Tensor | None, ...]:
        units, centres, positions, rest, nearest, *_ = ctx.saved_tensors
        grad_units, grad_centres = torch.zeros_like(units), ctx.cosines.new_gradient()
        grad_scale = torch.zeros_like(rest) if ctx.needs_input_grad[2] else None
        grad_rest = torch.zeros_like(rest) if grad_rest is None else grad_rest
        with torch.autocast(units.device.type, enabled=False):
            for block in ctx.cosines.take():
                label = block.find(positions)
                grad = _block_gradient(block, label, rest, grad_rest, ctx.formula, ctx.scale, grad_scale)
                if grad_label is not None:
                    add_at(grad, label, grad_label)
                if grad_nearest is not None:
                    add_at(grad, block.find(nearest), grad_nearest)
                ctx.cosines.add_gradient(block, grad, grad_units, grad_centres)
        grad_centres = ctx.cosines.held_gradient(grad_centres).view_as(centres)
        if grad_scale is not None:
            grad_scale = ctx.cosines.classes.sum(grad_scale)
        return grad_units, grad_centres, grad_scale, *[None] * (len(ctx.needs_input_grad) - 3)


def nearer(block: Block, label: Place, nearest: Tensor, largest: Tensor) -> tuple[Tensor, Tensor]:
    """Position of the nearest class but the label so far, and its cosine, after one more block; each [B]."""
    here, column = largest_but(block.cosines, label)
    return torch.where(here > largest, block.start + column, nearest), torch.maximum(largest, here)


def _block_log_sum_exp(block: Block, label: Place, formula: _Formula, scale: Tensor | float) -> Tensor:
    """Log-sum-exp [B] of the block's logits; the largest is taken off before they are scaled, which keeps digits."""
    values = formula.others(block.cosines).clone()
    formula.leave_out(values, block, label, -math.inf)
    largest = values.amax(dim=1).clamp(min=torch.finfo(values.dtype).min)
    sums = values.sub_(largest[:, None]).mul_(_bits(scale)).exp2_().sum(dim=1)
    return torch.addcmul(sums.log(), largest, torch.as_tensor(scale).detach().to(largest))


def _bits(scale: Tensor | float) -> Tensor | float:
    """The factor of unscaled logits, [B, 1] or for all, whose exponential is then to base 2: faster than to base e."""
    if isinstance(scale, Tensor):  # above 0, for the logits of what is left out are infinite
        return (scale.detach() / math.log(2)).clamp(min=torch.finfo(scale.dtype).tiny)[:, None]
    return min(scale / math.log(2), torch.finfo(torch.float32).max)


def _block_gradient(
    block: Block,
    label: Place,
    rest: Tensor,
    grad_rest: Tensor,
    formula: _Formula,
    scale: Tensor | float,
    grad_scale: Tensor | None,
) -> Tensor:
    """Gradient of the log-sum-exp with respect to a block of cosines, 0 where a class takes no part.

    ``grad_scale`` [B] is added to where the scale asks for a gradient.
    """
    with torch.enable_grad():
        cosines = block.cosines.detach().requires_grad_()
        changed = formula.others(cosines)
    factor, offset = _bits(scale), -rest[:, None] / math.log(2)
    if isinstance(factor, Tensor):
        softmax = torch.addcmul(offset, changed.detach(), factor).exp2_()
    else:
        softmax = torch.add(offset, changed.detach(), alpha=factor).exp2_()
    formula.leave_out(softmax, block, label, 0.0)
    if grad_scale is not None:
        grad_scale.addcmul_((softmax * changed.detach()).sum(dim=1), grad_rest)
    softmax.mul_((grad_rest * scale)[:, None])
    if changed is cosines:
        return softmax
    return torch.autograd.grad(changed, cosines, softmax)[0]
