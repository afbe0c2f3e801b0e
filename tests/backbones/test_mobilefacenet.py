"""The sizes of the MobileFaceNet paper, and the state dict of arcface_torch's mobilefacenet.py, spelt out."""

import pytest
import torch
from torch import nn

from noisebench.backbones import mobilefacenet
from tests.backbones.shapes import Shapes, norm, of, sequence, without_numbers


def convolution(name: str, before: int, after: int, size: int, groups: int = 1) -> Shapes:
    return sequence(f"{name}.layers", (after, before // groups, size, size), after, (after,))


def bottleneck(name: str, before: int, inner: int, after: int) -> Shapes:
    return (
        convolution(f"{name}.layers.0", before, inner, 1)
        | convolution(f"{name}.layers.1", inner, inner, 3, groups=inner)
        | sequence(f"{name}.layers.2.layers", (after, inner, 1, 1), after)
    )


def residual(name: str, channels: int, inner: int, count: int) -> Shapes:
    shapes: Shapes = {}
    for number in range(count):
        shapes |= bottleneck(f"{name}.layers.{number}", channels, inner, channels)
    return shapes


def published(scale: int, blocks: tuple[int, int, int, int]) -> Shapes:
    narrow, wide = 64 * scale, 128 * scale
    first = residual("layers.1", narrow, 128, blocks[0])
    return {
        **convolution("layers.0", 3, narrow, 3),
        **(convolution("layers.1", narrow, narrow, 3, groups=64) if blocks[0] == 1 else first),
        **bottleneck("layers.2", narrow, 128, narrow),
        **residual("layers.3", narrow, 128, blocks[1]),
        **bottleneck("layers.4", narrow, 256, wide),
        **residual("layers.5", wide, 256, blocks[2]),
        **bottleneck("layers.6", wide, 512, wide),
        **residual("layers.7", wide, 256, blocks[3]),
        **convolution("conv_sep", wide, 512, 1),
        **sequence("features.layers.0.layers", (512, 1, 7, 7), 512),
        "features.layers.2.weight": (512, 512),
        **norm("features.layers.3", 512),
    }


@pytest.mark.parametrize(("name", "scale", "blocks"), [("mbf", 2, (1, 4, 6, 2)), ("mbf_large", 4, (2, 8, 12, 4))])
def test_state_dict(name: str, scale: int, blocks: tuple[int, int, int, int]) -> None:
    assert of(without_numbers(getattr(mobilefacenet, name))) == list(published(scale, blocks).items())


def test_size_of_the_paper() -> None:
    """0.99 million parameters, BN folded into biases, and 221 million multiply-adds (arXiv 1804.07573, Table 2)."""
    network = mobilefacenet.mobilefacenet(embedding_size=128).eval()
    gains = sum(
        layer.weight.numel() for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    )
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert round((num_parameters - gains) / 1e6, 2) == 0.99
    multiply_adds = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal multiply_adds
        multiply_adds += output.numel() * layer.get_parameter("weight")[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 112, 112))
    assert round(multiply_adds / 1e6) == 221
