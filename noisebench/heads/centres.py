"""Class centres: how they begin."""

from __future__ import annotations

import torch
from torch import Tensor

INITIAL_STD = 0.01


def draw_centres(num_classes: int, embedding_size: int, seed: int) -> Tensor:
    """Initial class centres [C, D], float32, from Normal(0, 0.01), the same for every method.

    That is insightface's choice. Centres enter a loss by their direction alone, so their length only sets how fast they
    turn (the gradient goes with 1/length); methods that began with unit centres turned 4.4 times as slowly at D = 512,
    which a comparison must not mix in.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(num_classes, embedding_size).normal_(0, INITIAL_STD, generator=generator)
