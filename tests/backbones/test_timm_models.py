"""Networks of timm, and what is said where it is missing or a network does not fit."""

import sys

import pytest
import torch

from noisebench import backbones
from noisebench.errors import UserError
from tests.backbones import torchvision_operators

PUBLISHED_MILLIONS = {
    "dpn68": 12.6,
    "densenet121": 8.0,
    "inception_resnet_v2": 55.8,
}  # their model cards, 1,000 classes


@pytest.fixture
def timm() -> None:
    torchvision_operators.define_missing()
    pytest.importorskip("timm")


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("model", PUBLISHED_MILLIONS)
def test_named_networks(model: str) -> None:
    network = backbones.create(f"timm:{model}", embedding_size=1000)
    assert network.training
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == PUBLISHED_MILLIONS[model]
    with torch.no_grad():
        assert network(torch.rand(2, 3, 112, 112)).shape == (2, 1000)


@pytest.mark.usefixtures("timm")
def test_a_network_of_a_fixed_size_is_built_for_the_images() -> None:
    network = backbones.create("timm:vit_tiny_patch16_224", embedding_size=8, image_size=(32, 48))
    assert network.get_parameter("pos_embed").shape[1] == 1 + 2 * 3


@pytest.mark.usefixtures("timm")
def test_mistakes() -> None:
    with pytest.raises(UserError, match="unknown backbone 'timm:densnet121': did you mean 'timm:densenet121'"):
        backbones.create("timm:densnet121")
    with pytest.raises(UserError, match=r"'timm:inception_resnet_v2' does not take images of 32x32: .*Kernel size"):
        backbones.create("timm:inception_resnet_v2", image_size=(32, 32))
    with pytest.raises(UserError, match="checkpointing is not offered for backbone 'timm:dpn68'"):
        backbones.create("timm:dpn68", embedding_size=8, image_size=(32, 32), checkpointing=True)


def test_what_to_install_is_said_where_timm_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"needs timm and torchvision.* pip install 'noisebench\[timm\]'"):
        backbones.create("timm:dpn68")
