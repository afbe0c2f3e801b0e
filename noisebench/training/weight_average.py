"""The moving average of a network's weights, which often generalises better than the last ones.

After step t, counted from 0, every weight w and running statistic, of average a, gives a ← d·a + (1 - d)·w, with
d = min(decay, (1 + t) / (10 + t)), so that the first weights, which are random, are soon forgotten: the rule of
TensorFlow's ``ExponentialMovingAverage`` with a count of updates. Counters are copied.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noisebench.training.dcp import Part


class WeightAverage:
    """The average of a module's parameters and buffers, saved and found again as a part of a run's state.

    Args:
        module: Its state is averaged as it changes.
        decay: The weight of the past, 0 < decay < 1.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self._average = {name: value.clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Let the average follow a step, counted from 0 over the whole run."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in self._module.state_dict().items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def put_into_module(self) -> None:
        """Replace the module's state by its average."""
        self._module.load_state_dict(self._average)

    def state_dict(self) -> dict[str, Tensor]:
        """See `noisebench.training.run_state.Stateful`."""
        return dict(self._average)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """See `noisebench.training.run_state.Stateful`."""
        for name, value in state.items():
            self._average[name].copy_(value)

    def part(self, name: str) -> Part | None:
        """See `noisebench.training.run_state.Stateful`: every process has all of it."""
        return None
