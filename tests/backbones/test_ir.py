"""The state dict of AdaFace's net.py, spelt out, and what its blocks do."""

import pytest
import torch
from torch import Tensor, nn

from noisebench.backbones import ir
from noisebench.backbones._layers import SqueezeExcitation
from tests.backbones.shapes import Shapes, norm, of, sequence, without_numbers

BLOCKS = {
    "ir_18": (2, 2, 2, 2),
    "ir_34": (3, 4, 6, 3),
    "ir_50": (3, 4, 14, 3),
    "ir_101": (3, 13, 30, 3),
    "ir_152": (3, 8, 36, 3),
    "ir_200": (3, 24, 36, 3),
    "ir_se_50": (3, 4, 14, 3),
    "ir_se_101": (3, 13, 30, 3),
    "ir_se_152": (3, 8, 36, 3),
    "ir_se_200": (3, 24, 36, 3),
}
BOTTLENECKS = ("ir_152", "ir_200", "ir_se_152", "ir_se_200")


def block(name: str, before: int, after: int, bottleneck: bool, squeeze: bool) -> Shapes:
    shapes = sequence(f"{name}.shortcut_layer", (after, before, 1, 1), after) if before != after else {}
    branch = f"{name}.res_layer"
    if bottleneck:
        inner = after // 4
        first, middle, last = (inner, before, 1, 1), (inner, inner, 3, 3), (after, inner, 1, 1)
        shapes |= sequence(branch, before, first, inner, (inner,), middle, inner, (inner,), last, after)
    else:
        shapes |= sequence(branch, before, (after, before, 3, 3), after, (after,), (after, after, 3, 3), after)
    if squeeze:
        shapes[f"{branch}.se_block.fc1.weight"] = (after // 16, after, 1, 1)
        shapes[f"{branch}.se_block.fc2.weight"] = (after, after // 16, 1, 1)
    return shapes


def published(name: str) -> Shapes:
    bottleneck = name in BOTTLENECKS
    widths = (256, 512, 1024, 2048) if bottleneck else (64, 128, 256, 512)
    shapes = sequence("input_layer", (64, 3, 3, 3), 64, (64,)) | norm("output_layer.0", widths[-1])
    shapes |= {"output_layer.3.weight": (512, widths[-1] * 7 * 7), "output_layer.3.bias": (512,)}
    shapes |= norm("output_layer.4", 512, affine=False)
    channels, number = 64, 0
    for width, count in zip(widths, BLOCKS[name], strict=True):
        for _ in range(count):
            shapes |= block(f"body.{number}", channels, width, bottleneck, squeeze="se" in name)
            channels, number = width, number + 1
    return shapes


@pytest.mark.parametrize("name", BLOCKS)
def test_state_dict(name: str) -> None:
    assert of(without_numbers(getattr(ir, name))) == list(published(name).items())


@pytest.mark.parametrize("name", ["ir_50", "ir_152"])
def test_each_stage_halves_in_the_last_convolution_of_its_first_block(name: str) -> None:
    network = without_numbers(getattr(ir, name)).eval()
    sides: dict[str, int] = {}
    for layer_name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and "res_layer" in layer_name:
            layer.register_forward_hook(lambda _, __, output, key=layer_name: sides.update({key: output.shape[-1]}))
    network(torch.empty(1, 3, 112, 112, device="meta"))
    last = "res_layer.7" if name in BOTTLENECKS else "res_layer.4"
    expected, number = {}, 0
    for side, count in zip((56, 28, 14, 7), BLOCKS[name], strict=True):
        for place in range(count):
            for key in (key for key in sides if key.startswith(f"body.{number}.")):
                expected[key] = side if place or key.endswith(last) else 2 * side
            number += 1
    assert sides == expected


def test_a_shortcut_of_as_many_channels_leaves_out_pixels() -> None:
    network = ir.ir_18(embedding_size=4, image_size=(16, 16))
    features = torch.rand(2, 64, 6, 6)
    shortcut = network.body[0].get_submodule("shortcut_layer")
    assert torch.equal(shortcut(features), features[:, :, ::2, ::2])


def test_squeeze_and_excitation() -> None:
    layer, features = SqueezeExcitation(32), torch.randn(3, 32, 4, 5, generator=torch.Generator().manual_seed(0))
    first, second = layer.fc1.weight[:, :, 0, 0], layer.fc2.weight[:, :, 0, 0]
    for found, image in zip(layer(features), features, strict=True):
        hidden = torch.stack([sum_of(row, image).clamp(min=0) for row in first])
        for channel, row in enumerate(second):
            weight = 1 / (1 + torch.exp(-(row * hidden).sum()))
            torch.testing.assert_close(found[channel], image[channel] * weight)


def sum_of(weights: Tensor, image: Tensor) -> Tensor:
    total = torch.zeros(())
    for weight, channel in zip(weights, image, strict=True):
        total = total + weight * channel.sum() / channel.numel()
    return total


def test_initial_weights() -> None:
    network = ir.ir_18(embedding_size=64, image_size=(32, 32))
    convolution = network.body[7].get_submodule("res_layer.4").get_parameter("weight")
    assert convolution.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=1e-2)  # He et al. 2015, by outputs
    linear = network.output_layer.get_submodule("3")
    assert linear.get_parameter("weight").std().item() == pytest.approx((2 / 64) ** 0.5, rel=1e-2)
    assert not linear.get_parameter("bias").any()
