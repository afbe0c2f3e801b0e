"""State dicts as others publish them: recognised, with their order of colours, and loaded to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisebench import backbones
from noisebench.errors import FileError, UserError
from noisebench.evaluation.result import Preprocessing
from noisebench.models import open_model
from noisebench.models.published import EMBEDDING_NORMS, FAMILIES
from noisebench.models.trained import shapes_of


def state(name: str, embedding_size: int = 512) -> dict[str, Tensor]:
    return dict(backbones.create(name, embedding_size=embedding_size, seed=1).state_dict())


def lightning(weights: dict[str, Tensor]) -> dict[str, Any]:
    """What Lightning leaves of AdaFace: the head and the optimiser beside the backbone."""
    named = {f"model.{name}": value for name, value in weights.items()}
    return {
        "epoch": 25,
        "global_step": 1000,
        "pytorch-lightning_version": "1.4.4",
        "state_dict": {**named, "head.kernel": torch.zeros(512, 10), "head.t": torch.zeros(1)},
        "callbacks": {"ModelCheckpoint": {"monitor": "val_acc", "best_model_score": torch.tensor(0.9)}},
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [{"milestones": [12, 20]}],
        "hyper_parameters": {"arch": "ir_18", "head": "adaface", "m": 0.4},
    }


@pytest.mark.parametrize(
    ("name", "wrap", "channels"),
    [
        ("mbf", lambda weights: weights, "rgb"),
        ("mbf", lambda weights: {f"module.{name}": value for name, value in weights.items()}, "rgb"),
        ("mbf", lambda weights: {"epoch": 3, "state_dict_backbone": weights, "state_dict_softmax_fc": {}}, "rgb"),
        ("iresnet18", lambda weights: weights, "rgb"),
        ("ir_18", lightning, "bgr"),
    ],
)
def test_a_published_checkpoint_opens_without_further_words(
    name: str, wrap: Any, channels: Any, tmp_path: Path
) -> None:
    weights = state(name)
    torch.save(wrap(weights), tmp_path / "backbone.pth")
    model = open_model(tmp_path / "backbone.pth")
    assert (model.name, model.embedding_size) == (name, 512)
    assert model.preprocessing == Preprocessing(image_size=(112, 112), channels=channels)
    found = model.backbone.state_dict()
    assert list(found) == list(weights)
    assert all(torch.equal(found[tensor], value) for tensor, value in weights.items())


def test_every_family_is_told_by_its_own_tensor_and_knows_its_embedding() -> None:
    for told_by, names in FAMILIES.items():
        shapes = shapes_of(names[0], 96, (112, 112))
        assert [tensor for tensor in FAMILIES if tensor in shapes] == [told_by]
        assert [shapes[tensor] for tensor in EMBEDDING_NORMS if tensor in shapes] == [(96,)]


def test_embeddings_of_another_size_are_recognised(tmp_path: Path) -> None:
    torch.save(state("mbf", embedding_size=64), tmp_path / "a.pt")
    assert open_model(tmp_path / "a.pt").embedding_size == 64


def test_a_backbone_is_found_by_the_name_given(tmp_path: Path) -> None:
    torch.save(state("mobilefacenet"), tmp_path / "a.pt")
    assert open_model(tmp_path / "a.pt", "mobilefacenet").name == "mobilefacenet"


@pytest.mark.parametrize(
    ("content", "backbone", "told"),
    [
        ({"w": torch.zeros(2)}, None, "none is recognised .name it, e.g. --backbone iresnet50"),
        ({"w": torch.zeros(2)}, "mbf", "weights do not fit the backbone mbf: 333 of 333 tensors are missing"),
        ({"w": 3}, None, "neither a model file, nor a state dict of arcface_torch, nor a checkpoint of AdaFace"),
        ({}, None, "neither a model file"),
        ({"state_dict": {"net.w": torch.zeros(2)}}, None, "a Lightning checkpoint without tensors named model"),
        ({"state_dict": {"model.w": 3}}, None, "a Lightning checkpoint without tensors named model"),
        ({"features.running_mean": torch.zeros(0)}, None, "none is recognised"),
    ],
)
def test_anything_else_is_one_line(content: object, backbone: str | None, told: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(FileError, match=told) as caught:
        open_model(tmp_path / "a.pt", backbone)
    assert "\n" not in str(caught.value)


def test_a_shape_that_differs_is_named(tmp_path: Path) -> None:
    weights = state("mbf")
    torch.save({**weights, "conv_sep.layers.0.weight": torch.zeros(512, 9, 1, 1)}, tmp_path / "a.pt")
    with pytest.raises(FileError, match=r"backbone mbf: 'conv_sep.layers.0.weight' is 512x9x1x1, expected 512x256x1x1"):
        open_model(tmp_path / "a.pt")
    torch.save({**weights, "more": torch.zeros(1)}, tmp_path / "b.pt")
    with pytest.raises(FileError, match="1 tensors it does not have, first 'more'"):
        open_model(tmp_path / "b.pt", "mbf")
    with pytest.raises(UserError, match="unknown backbone 'mbff': did you mean 'mbf'"):
        open_model(tmp_path / "b.pt", "mbff")
