"""The size the small network promises."""

import torch
from torch import nn

from noisebench.backbones.small_ir import small_ir


def test_about_13_million_multiply_adds() -> None:
    network, total = small_ir(embedding_size=128).eval(), 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += output.numel() * weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 112, 112))
    assert 12.5e6 < total < 13.5e6


def test_parameters_grow_with_the_embedding_as_documented() -> None:
    def num_parameters(size: int) -> int:
        return sum(parameter.numel() for parameter in small_ir(embedding_size=size).parameters())

    assert num_parameters(101) - num_parameters(100) == 96 * 7 * 7 + 3
