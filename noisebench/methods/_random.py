"""Randomness of a method: a generator of its own, whose state is saved and resumed with the head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noisebench.noise.counter import derive_seed


class SavedGenerator(nn.Module):
    """A random generator that is part of a head's state. It draws on the CPU, the same numbers for every device.

    Processes that draw the same for the global batch stay alike: each begins with the same seed.

    Args:
        seed: Of the run's head.
        name: What is drawn.
    """

    def __init__(self, seed: int, name: str) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(derive_seed(seed, name))

    def normal(self, *shape: int) -> Tensor:
        """Draws from the standard normal distribution, float32."""
        return torch.randn(shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        """Draws from [0, 1), float32."""
        return torch.rand(shape, generator=self.generator)

    def get_extra_state(self) -> Tensor:
        """Where the generator stands; torch puts it into the state dict."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from there."""
        self.generator.set_state(state.cpu())
