"""The state dict of arcface_torch's vit.py, spelt out, and the network against a slow formula."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from noisebench.backbones import vit
from noisebench.backbones._layers import Stage
from noisebench.backbones.vit import DropPath, VisionTransformer
from tests.backbones.shapes import Shapes, norm, of, without_numbers

SIZES = {
    "vit_t": (256, 12),
    "vit_t_dp005_mask0": (256, 12),
    "vit_s": (512, 12),
    "vit_s_dp005_mask_0": (512, 12),
    "vit_b": (512, 24),
    "vit_b_dp005_mask_005": (512, 24),
}


def published(width: int, depth: int) -> Shapes:
    shapes: Shapes = {"pos_embed": (1, 144, width), "mask_token": (1, 1, width)}
    shapes |= {"patch_embed.proj.weight": (width, 3, 9, 9), "patch_embed.proj.bias": (width,)}
    for number in range(depth):
        block = f"blocks.{number}"
        shapes |= {f"{block}.norm{one}.{tensor}": (width,) for one in (1, 2) for tensor in ("weight", "bias")}
        shapes[f"{block}.attn.qkv.weight"] = (3 * width, width)
        shapes |= {f"{block}.attn.proj.weight": (width, width), f"{block}.attn.proj.bias": (width,)}
        shapes |= {f"{block}.mlp.fc1.weight": (4 * width, width), f"{block}.mlp.fc1.bias": (4 * width,)}
        shapes |= {f"{block}.mlp.fc2.weight": (width, 4 * width), f"{block}.mlp.fc2.bias": (width,)}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,), "feature.0.weight": (width, width * 144)}
    return shapes | norm("feature.1", width) | {"feature.2.weight": (512, width)} | norm("feature.3", 512)


@pytest.mark.parametrize("name", SIZES)
def test_state_dict(name: str) -> None:
    assert dict(of(without_numbers(getattr(vit, name)))) == published(*SIZES[name])


def small() -> VisionTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = VisionTransformer(16, 2, 5, (20, 29), drop_path=0.2, masked=0.3)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def images(size: int) -> Tensor:
    return torch.randn(size, 3, 20, 29, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_equals_the_slow_formula() -> None:
    network = small().eval()
    state = network.state_dict()
    expected = torch.stack([embed(state, image) for image in images(2)])
    torch.testing.assert_close(network(images(2)), expected, rtol=1e-4, atol=1e-4)


def embed(state: dict[str, Tensor], image: Tensor) -> Tensor:
    """One image's embedding, patch by patch and head by head; BN has seen nothing yet."""
    corners = [(row, column) for row in range(0, 18, 9) for column in range(0, 27, 9)]
    kernels, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    patches = [(kernels * image[:, y : y + 9, x : x + 9]).sum((1, 2, 3)) + bias for y, x in corners]
    tokens = torch.stack(patches) + state["pos_embed"][0]
    for block in ("blocks.0", "blocks.1"):
        part = {key.removeprefix(f"{block}."): value for key, value in state.items() if key.startswith(block)}
        tokens = tokens + attention(part, layer_norm(tokens, part["norm1.weight"], part["norm1.bias"]))
        hidden = layer_norm(tokens, part["norm2.weight"], part["norm2.bias"]) @ part["mlp.fc1.weight"].T
        hidden = (hidden + part["mlp.fc1.bias"]).clamp(0, 6)
        tokens = tokens + hidden @ part["mlp.fc2.weight"].T + part["mlp.fc2.bias"]
    tokens = layer_norm(tokens, state["norm.weight"], state["norm.bias"])
    features = tokens.flatten()
    for linear, last in (("feature.0", "feature.1"), ("feature.2", "feature.3")):
        features = state[f"{linear}.weight"] @ features
        features = features / math.sqrt(1 + 2e-5) * state[f"{last}.weight"] + state[f"{last}.bias"]
    return features


def layer_norm(tokens: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    centred = tokens - tokens.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt() * gain + bias


def attention(part: dict[str, Tensor], tokens: Tensor) -> Tensor:
    queries, keys, values = (tokens @ weight.T for weight in part["attn.qkv.weight"].view(3, 16, 16))
    heads = []
    for head in range(8):
        columns = slice(2 * head, 2 * head + 2)
        weights = (queries[:, columns] @ keys[:, columns].T / math.sqrt(2)).exp()
        heads.append(weights / weights.sum(1, keepdim=True) @ values[:, columns])
    return torch.cat(heads, dim=1) @ part["attn.proj.weight"].T + part["attn.proj.bias"]


@torch.no_grad()
def test_the_mask_token_takes_the_place_of_what_training_leaves_out() -> None:
    network = small().train()
    network.blocks = Stage()
    tokens = torch.randn(50, 6, 16, generator=torch.Generator().manual_seed(3))
    mixed = network._transform_some(tokens)
    is_masked = (mixed == network.mask_token).all(-1)
    assert is_masked.sum(1).tolist() == [2] * 50  # of 6 patches, int(0.7 * 6) are kept
    assert bool(is_masked.any(0).all())
    expected = F.layer_norm(tokens, (16,), network.norm.weight, network.norm.bias)
    torch.testing.assert_close(mixed[~is_masked], expected[~is_masked])


def test_a_network_that_masks_nothing_does_not_learn_its_mask_token() -> None:
    network = VisionTransformer(16, 1, 5, (20, 29), drop_path=0.0, masked=0.0)
    assert not network.mask_token.requires_grad


def test_branches_are_dropped_for_whole_images_and_more_often_in_later_blocks() -> None:
    layer, tokens = DropPath(0.25), torch.ones(2000, 3, 4)
    dropped = layer.train()(tokens)
    factors = dropped[:, 0, 0]
    assert torch.equal(dropped, factors[:, None, None].expand_as(dropped))
    assert {round(value, 5) for value in factors.unique().tolist()} == {0.0, round(4 / 3, 5)}
    assert factors.mean().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(layer.eval()(tokens), tokens)
    network = without_numbers(vit.vit_t)
    probabilities = [block.probability for block in network.modules() if isinstance(block, DropPath)]
    assert probabilities == pytest.approx([0.1 * number / 11 for number in range(12)])
