"""The state dict of Face_Pytorch's cbam.py, spelt out, and its two attentions against their formulas."""

import pytest
import torch

from noisebench.backbones import cbam_ir
from noisebench.backbones.cbam_ir import ChannelAttention, SpatialAttention
from tests.backbones.shapes import Shapes, norm, of, sequence, without_numbers


def published(attention: bool) -> Shapes:
    shapes = sequence("input_layer", (64, 3, 3, 3), 64, (64,))
    channels = 64
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 14, 3), strict=True), start=1):
        for number in range(count):
            name = f"layer{stage}.{number}"
            convolutions = (width, channels, 3, 3), (width, width, 3, 3)
            branch = sequence(f"{name}.res_layer", channels, convolutions[0], width, (width,), convolutions[1], width)
            if attention:
                branch[f"{name}.res_layer.6.shared_mlp.0.weight"] = (width // 16, width, 1, 1)
                branch[f"{name}.res_layer.6.shared_mlp.2.weight"] = (width, width // 16, 1, 1)
                branch[f"{name}.res_layer.7.conv.weight"] = (1, 2, 3, 3)
            shortcut = {} if number else sequence(f"{name}.shortcut_layer", (width, channels, 1, 1), width)
            shapes |= branch | shortcut
            channels = width
    shapes |= norm("output_layer.0", 512) | {"output_layer.3.weight": (512, 512 * 7 * 7), "output_layer.3.bias": (512,)}
    return shapes | norm("output_layer.4", 512)


@pytest.mark.parametrize(("name", "attention"), [("boundaryface_ir50", False), ("cbam_ir50", True)])
def test_state_dict(name: str, attention: bool) -> None:
    network = without_numbers(getattr(cbam_ir, name))
    assert dict(of(network)) == published(attention)


def test_channel_attention() -> None:
    layer, image = ChannelAttention(32), torch.randn(32, 3, 4, generator=torch.Generator().manual_seed(0))
    first, second = (layer.get_parameter(f"shared_mlp.{number}.weight")[:, :, 0, 0] for number in (0, 2))
    average = torch.stack([channel.sum() / 12 for channel in image])
    largest = torch.stack([channel.flatten().sort().values[-1] for channel in image])
    logits = sum((second @ (first @ summary).clamp(min=0) for summary in (average, largest)), torch.zeros(32))
    for channel, found in enumerate(layer(image[None])[0]):
        torch.testing.assert_close(found, image[channel] / (1 + torch.exp(-logits[channel])))


def test_spatial_attention() -> None:
    layer, image = SpatialAttention(), torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    padded = torch.zeros(2, 5, 6)
    padded[0, 1:-1, 1:-1] = image.sum(0) / 5
    padded[1, 1:-1, 1:-1] = image.sort(0).values[-1]
    found = layer(image[None])[0]
    for row in range(3):
        for column in range(4):
            logit = (layer.conv.weight[0] * padded[:, row : row + 3, column : column + 3]).sum()
            torch.testing.assert_close(found[:, row, column], image[:, row, column] / (1 + torch.exp(-logit)))


def test_initial_weights() -> None:
    network = cbam_ir.boundaryface_ir50(embedding_size=64, image_size=(32, 32))
    weights = network.output_layer.get_submodule("3").get_parameter("weight")
    limit = (6 / (64 + 512 * 2 * 2)) ** 0.5  # Glorot & Bengio 2010
    assert limit * 0.999 < weights.abs().max().item() <= limit
