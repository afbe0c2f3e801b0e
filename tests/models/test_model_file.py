"""Model files: built again as they were saved, in either format; refused when they are anything else."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from noisebench import backbones
from noisebench.errors import FileError
from noisebench.evaluation.result import Preprocessing
from noisebench.models import model_file, open_model
from noisebench.models.export import to_safetensors, training_record


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    backbone = backbones.create("small_ir", embedding_size=8, image_size=(32, 48), seed=3)
    path = tmp_path / "model.pt"
    model_file.save_model(path, backbone, name="small_ir", embedding_size=8, image_size=(32, 48))
    return path


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    states = first.state_dict(), second.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def test_a_model_comes_back_as_it_was_saved(saved: Path) -> None:
    original = backbones.create("small_ir", embedding_size=8, image_size=(32, 48), seed=3)
    for path in (saved, saved.parent):
        model = open_model(path)
        assert (model.name, model.embedding_size) == ("small_ir", 8)
        assert model.preprocessing == Preprocessing(image_size=(32, 48), channels="rgb")
        assert not model.backbone.training
        assert same(model.backbone, original)


def test_a_file_of_the_first_version_is_read(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    assert content["format"] == "noisebench-model-2"
    first = {key: content[key] for key in ("backbone", "embedding_size", "image_size", "state")}
    torch.save({"format": "noisebench-model-1", **first}, saved.with_name("old.pt"))
    old, new = open_model(saved.with_name("old.pt")), open_model(saved)
    assert same(old.backbone, new.backbone)
    assert old.preprocessing == new.preprocessing


def test_colours_can_be_told_and_are_then_turned_for_rgb_images(saved: Path) -> None:
    model = open_model(saved, channels="bgr")
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert model.preprocessing.channels == "bgr"
    torch.testing.assert_close(model.on_rgb()(images), model.backbone(images[:, [2, 1, 0]]))
    assert open_model(saved).on_rgb()(images).shape == (2, 8)


def test_a_release_holds_all_that_the_model_does(saved: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    model = open_model(saved, channels="bgr")
    path = saved.with_name("release.safetensors")
    to_safetensors(model, path, "abc")
    found = open_model(path)
    assert dataclasses.replace(found, backbone=model.backbone) == model
    assert same(found.backbone, model.backbone)
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata()["training_record"] == "abc"
    assert path.stat().st_mode == saved.stat().st_mode
    assert training_record(saved) is None


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, "its metadata have no header"),
        ({"__metadata__": {"noisebench": "[" * 100_000}}, "its metadata have no header"),
        ({"__metadata__": {"noisebench": '{"backbone": "small_ir"}'}}, "key 'embedding_size' is missing"),
        ({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, "no readable safetensors file"),
    ],
)
def test_a_hostile_release_is_one_line(header: dict[str, Any], told: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    if "a" not in header:
        path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FileError, match=told) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "other-1"}, "key 'format' is 'other-1'"),
        ({"embedding_size": 10**12}, "key 'embedding_size'"),
        ({"image_size": [10**6, 1]}, "key 'image_size.0'"),
        ({"backbone": ["small_ir"]}, "key 'backbone'"),
        ({"channels": "grey"}, "key 'channels' is 'grey'"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"embedding_size": 9}, "'fc.weight' is 8x576, expected 9x576"),
        ({"state": {1: 2}}, "key 'state' is no mapping of names to tensors"),
        ({"state": {"w": torch.zeros(1)}}, "67 of 67 tensors are missing, first 'stem.0.weight'"),
        # 275 GB of weights, if they were made before they are compared.
        ({"embedding_size": 1 << 16, "image_size": [1024, 1024]}, "weights do not fit the backbone"),
    ],
)
def test_a_model_file_that_lies_is_one_line(saved: Path, changes: dict[str, Any], told: str) -> None:
    torch.save({**torch.load(saved, weights_only=True), **changes}, saved)
    with pytest.raises(FileError) as caught:
        open_model(saved)
    assert told in str(caught.value)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_a_checkpoint_is_one_line(saved: Path) -> None:
    with pytest.raises(FileError, match="its backbone is small_ir, not iresnet50"):
        open_model(saved, "iresnet50")
    saved.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(FileError, match="no readable checkpoint"):
        open_model(saved)
    with pytest.raises(FileError, match="no such checkpoint"):
        open_model(saved.with_name("other.pt"))
