"""What every backbone must do; a file dropped into ``noisebench/backbones`` is tested by being there."""

import pytest
import torch
from torch import Tensor, nn

from noisebench import backbones
from noisebench.errors import UserError

EMBEDDING_SIZE, IMAGE_SIZE, SEED = 8, (16, 32), 5


def create(name: str, seed: int) -> nn.Module:
    return backbones.create(name, embedding_size=EMBEDDING_SIZE, image_size=IMAGE_SIZE, seed=seed)


def images(size: int) -> Tensor:
    return torch.rand(size, 3, *IMAGE_SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(params=backbones.names(), scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def backbone(name: str) -> nn.Module:
    return create(name, SEED)


def test_the_seed_alone_decides_the_weights(name: str, backbone: nn.Module) -> None:
    before = torch.random.get_rng_state()
    weights, same, other = (dict(net.named_parameters()) for net in (backbone, create(name, SEED), create(name, 6)))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(weights[key], same[key]) for key in weights)
    assert any(not torch.equal(weights[key], other[key]) for key in weights)


def test_embeds_and_learns(backbone: nn.Module) -> None:
    embeddings = backbone.train()(images(4))
    assert embeddings.shape == (4, EMBEDDING_SIZE)
    embeddings[0].sum().backward()  # one image's: the batch's sum or norm is what BN has fixed already
    for parameter in backbone.parameters():
        assert not parameter.requires_grad or (parameter.grad is not None and bool(parameter.grad.isfinite().all()))


@torch.no_grad()
def test_once_trained_a_face_is_embedded_alike_in_any_company_and_layout(backbone: nn.Module) -> None:
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # so that one batch sets the statistics
    backbone.train()(images(4))
    backbone.eval()
    together = backbone(images(4))
    torch.testing.assert_close(backbone(images(4)[:1]), together[:1], rtol=1e-3, atol=1e-3)
    channels_last = images(4).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(backbone(channels_last), together, rtol=1e-3, atol=1e-3)


def test_too_small_sizes(name: str) -> None:
    with pytest.raises(UserError, match="embedding_size is 0"):
        backbones.create(name, embedding_size=0)
    with pytest.raises(UserError, match=r"image_size is \(112, 8\)"):
        backbones.create(name, image_size=(112, 8))


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown backbone 'iresnet5': did you mean 'iresnet50'"):
        backbones.create("iresnet5")
