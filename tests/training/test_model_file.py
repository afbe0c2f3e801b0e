"""Model files: built again as they were saved, refused when they are anything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from noisebench import backbones
from noisebench.errors import FileError
from noisebench.training import model_file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    backbone = backbones.create("small_ir", embedding_size=8, image_size=(32, 48), seed=3)
    path = tmp_path / "model.pt"
    model_file.save_model(path, backbone, name="small_ir", embedding_size=8, image_size=(32, 48))
    return path


def test_a_model_comes_back_as_it_was_saved(saved: Path) -> None:
    model = model_file.load_model(saved)
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    original = backbones.create("small_ir", embedding_size=8, image_size=(32, 48), seed=3)
    assert model.image_size == (32, 48)
    torch.testing.assert_close(model.backbone.eval()(images), original.eval()(images))


def test_a_bare_state_dict_needs_its_backbones_name_and_fits_exactly(tmp_path: Path) -> None:
    path = tmp_path / "backbone.pt"
    torch.save(backbones.create("iresnet18", seed=1).state_dict(), path)
    with pytest.raises(FileError, match="does not tell its backbone"):
        model_file.load_model(path)
    loaded = model_file.load_model(path, "iresnet18").backbone.state_dict()
    for name, value in backbones.create("iresnet18", seed=1).state_dict().items():
        assert torch.equal(loaded[name], value)
    with pytest.raises(FileError, match="weights do not fit the backbone: Missing key"):
        model_file.load_model(path, "iresnet34")


class _Hostile:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / "hacked"),)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    path = tmp_path / "model.pt"
    if how == "pickle":
        path.write_bytes(pickle.dumps(_Hostile(tmp_path), protocol=2))
    else:
        torch.save({"state": _Hostile(tmp_path)}, path)
    with pytest.raises(FileError, match="no readable checkpoint of tensors and plain values") as caught:
        model_file.load_model(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "other-1"}, "key 'format' is 'other-1'"),
        ({"embedding_size": 10**12}, "key 'embedding_size'"),
        ({"image_size": [10**6, 1]}, "key 'image_size.0'"),
        ({"backbone": ["small_ir"]}, "key 'backbone'"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"embedding_size": 9}, "weights do not fit the backbone"),
        ({"state": {1: 2}}, "no model file of noisebench"),
    ],
)
def test_a_model_file_that_lies_is_one_line(saved: Path, changes: dict[str, Any], told: str) -> None:
    content = model_file.load(saved)
    torch.save({**content, **changes}, saved)
    with pytest.raises(FileError) as caught:
        model_file.load_model(saved)
    assert told in str(caught.value)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_one_line(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(FileError, match="no readable checkpoint"):
        model_file.load_model(saved)
    with pytest.raises(FileError, match="no such checkpoint"):
        model_file.load_model(saved.with_name("other.pt"))
