"""An optimiser step on the sampled rows of a weight alone: the others keep their value, and their momentum too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def step_sampled_rows_alone(
    optimizer: torch.optim.Optimizer, weight: nn.Parameter, sample: Callable[[], Tensor | None]
) -> None:
    """Make every step of the optimiser see the sampled rows as if they were the whole weight.

    For optimisers whose state of a weight has its shape, element for element, such as SGD and Adam.

    Args:
        optimizer: To be changed.
        weight: One of its weights, [C, ...].
        sample: Gives the rows of the coming step, int64 [S]; None for an ordinary step.
    """
    step = _SampledStep(weight, sample)
    optimizer.register_step_pre_hook(step.begin)
    optimizer.register_step_post_hook(step.end)


class _SampledStep:
    def __init__(self, weight: nn.Parameter, sample: Callable[[], Tensor | None]) -> None:
        self.weight, self.sample = weight, sample
        self.rows: Tensor | None = None
        self.whole_weight = weight.data
        self.whole_state: dict[str, Tensor] = {}

    def begin(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Put the sampled rows in the place of the weight, its gradient and its state."""
        self.rows = self.sample() if self.weight.grad is not None else None
        if self.rows is None or self.weight.grad is None:
            return
        gradient, self.whole_weight = self.weight.grad, self.weight.data
        self.weight.grad = None  # torch checks that it has the shape of the weight
        self.weight.data = self.whole_weight[self.rows]
        self.weight.grad = gradient[self.rows]
        state = optimizer.state[self.weight]
        self.whole_state = {name: value for name, value in state.items() if _has_shape(value, self.whole_weight)}
        state.update({name: value[self.rows] for name, value in self.whole_state.items()})

    def end(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Put everything back, the sampled rows changed; state that is new is 0 for the other rows."""
        if self.rows is None:
            return
        state = optimizer.state[self.weight]
        for name, value in state.items():
            if _has_shape(value, self.weight.data):
                whole = self.whole_state.get(name)
                whole = torch.zeros_like(self.whole_weight) if whole is None else whole
                state[name] = whole.index_copy_(0, self.rows, value)
        self.weight.grad = None
        self.weight.data = self.whole_weight.index_copy_(0, self.rows, self.weight.data)


def _has_shape(value: Any, like: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == like.shape
