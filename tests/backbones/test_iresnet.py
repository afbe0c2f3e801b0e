"""The state dict of insightface's arcface_torch, spelt out: names, order and shapes."""

import math

import pytest
import torch

from noisebench import backbones
from noisebench.backbones import iresnet
from noisebench.backbones.iresnet import IResNet
from tests.backbones.shapes import Shapes, norm, of, without_numbers

BLOCKS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
    "iresnet200": (6, 26, 60, 6),
}
PUBLISHED_MILLIONS = {"iresnet18": 24.03, "iresnet34": 34.14, "iresnet50": 43.59, "iresnet100": 65.16}


def block(name: str, in_channels: int, channels: int, first: bool) -> Shapes:
    shapes = {
        **norm(f"{name}.bn1", in_channels),
        f"{name}.conv1.weight": (channels, in_channels, 3, 3),
        **norm(f"{name}.bn2", channels),
        f"{name}.prelu.weight": (channels,),
        f"{name}.conv2.weight": (channels, channels, 3, 3),
        **norm(f"{name}.bn3", channels),
    }
    if first:
        shapes[f"{name}.downsample.0.weight"] = (channels, in_channels, 1, 1)
        shapes.update(norm(f"{name}.downsample.1", channels))
    return shapes


def published(blocks: tuple[int, ...]) -> Shapes:
    shapes: Shapes = {"conv1.weight": (64, 3, 3, 3), **norm("bn1", 64), "prelu.weight": (64,)}
    for stage, count in enumerate(blocks, start=1):
        channels = 32 * 2**stage
        for number in range(count):
            in_channels = channels if number else max(64, channels // 2)
            shapes.update(block(f"layer{stage}.{number}", in_channels, channels, first=number == 0))
    shapes.update(norm("bn2", 512))
    shapes.update({"fc.weight": (512, 512 * 7 * 7), "fc.bias": (512,)})
    shapes.update(norm("features", 512))
    return shapes


@pytest.mark.parametrize("name", BLOCKS)
def test_state_dict(name: str) -> None:
    network = without_numbers(getattr(iresnet, name))
    assert of(network) == list(published(BLOCKS[name]).items())
    if name in PUBLISHED_MILLIONS:
        millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        assert round(millions, 2) == PUBLISHED_MILLIONS[name]


def test_parameters_of_the_largest() -> None:
    shapes = published((3, 128, 1024 - 128, 3))
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    num_parameters = sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith(statistics))
    assert f"{num_parameters / 1e6:,.1f} million" in backbones.descriptions()["iresnet2060"]


def test_initial_weights() -> None:
    network = backbones.create("iresnet18", image_size=(32, 32))
    assert isinstance(network, IResNet)
    weights = torch.cat([tensor.flatten() for key, tensor in network.state_dict().items() if tensor.dim() == 4])
    assert weights.std().item() == pytest.approx(0.1, rel=1e-3)
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)
    assert not network.features.weight.requires_grad
    assert bool((network.features.weight == 1).all())
    assert all(layer.eps == 1e-5 for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d))


def test_each_block_has_its_stride_on_the_second_convolution() -> None:
    sizes = []
    network = IResNet((1, 1, 1, 1), embedding_size=4, image_size=(112, 112)).eval()
    for name, layer in network.named_modules():
        if name.endswith((".conv1", ".conv2")):
            layer.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    with torch.no_grad():
        network(torch.zeros(1, 3, 112, 112))
    assert sizes == [112, 56, 56, 28, 28, 14, 14, 7]
