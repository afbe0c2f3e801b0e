"""State dicts spelt out: names to shapes, in order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Shapes = dict[str, tuple[int, ...]]


def norm(name: str, channels: int, affine: bool = True) -> Shapes:
    """Of a batch normalisation."""
    tensors = ("weight", "bias") if affine else ()
    shapes: Shapes = {f"{name}.{tensor}": (channels,) for tensor in (*tensors, "running_mean", "running_var")}
    return {**shapes, f"{name}.num_batches_tracked": ()}


def sequence(name: str, *layers: tuple[int, ...] | int | None) -> Shapes:
    """Of layers in order: a weight's shape, the channels of a BN, and nothing for a layer without parameters."""
    shapes: Shapes = {}
    for number, layer in enumerate(layers):
        if isinstance(layer, int):
            shapes |= norm(f"{name}.{number}", layer)
        elif layer is not None:
            shapes[f"{name}.{number}.weight"] = layer
    return shapes


def of(network: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """Of a network."""
    return [(key, tuple(tensor.shape)) for key, tensor in network.state_dict().items()]


def without_numbers(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose tensors have shapes only."""
    with torch.device("meta"):
        return build()
