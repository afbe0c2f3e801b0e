"""Class centres: against a mean formed image by image, and as hard flips and a user meet them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from datasets_tools.app import app
from datasets_tools.centres import class_centres
from noisebench import backbones
from noisebench.errors import FileError
from noisebench.files import write_text
from noisebench.formats.face_set import FaceSet
from noisebench.models.model_file import save_model
from tests.tiny import IDENTITIES, SIZE, write_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("centres") / "faces")


class Corner(nn.Module):
    """Embeds an image as the colours of its upper left pixels, and is not the same in training mode."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return images[:, :, :2, :2].flatten(1)


@pytest.mark.parametrize("batch_size", [7, 256])
def test_a_centre_is_the_direction_of_the_mean_of_unit_embeddings(faces: Path, batch_size: int) -> None:
    opened = FaceSet.open(faces)
    found = class_centres(Corner(), opened, (SIZE, SIZE), batch_size=batch_size)
    for label in range(IDENTITIES):
        total = np.zeros(12)
        for key in opened.keys[opened.labels == label].tolist():
            corner = opened.image(key)[:2, :2].astype(np.float64).transpose(2, 0, 1).ravel() / 127.5 - 1
            total += corner / np.sqrt((corner**2).sum())
        np.testing.assert_allclose(found[label], total / np.sqrt((total**2).sum()), atol=1e-6)


def test_a_run_s_model_makes_the_centres_that_hard_flips_follow(faces: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = backbones.create("small_ir", embedding_size=16, image_size=(SIZE, SIZE))
    save_model(tmp_path / "model.pt", network, name="small_ir", embedding_size=16, image_size=(SIZE, SIZE))
    out, manifest = tmp_path / "centres.npy", tmp_path / "hard.parquet"
    write_text(tmp_path / "mine.yaml", "closed: {rate: 0.5, targets: hard, neighbours: 2}")
    for arguments in (
        ["centres", "--data", faces, "--checkpoint", tmp_path, "--out", out],
        ["noise", tmp_path / "mine.yaml", "--data", faces, "--centres", out, "--out", manifest],
    ):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
    centres = np.load(out)
    assert (centres.shape, centres.dtype) == ((IDENTITIES, 16), np.float32)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-6)


class Broken(nn.Module):
    """Whose embeddings are no numbers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 4), torch.nan)


def test_identities_without_a_centre_are_named(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="identity 0 has no centre"):
        class_centres(Broken(), FaceSet.open(faces), (SIZE, SIZE))
    copy = write_faces(tmp_path / "faces")
    write_text(copy / "property", f"{IDENTITIES + 1},{SIZE},{SIZE}\n")
    with pytest.raises(FileError, match=f"identity {IDENTITIES} has no image"):
        class_centres(Corner(), FaceSet.open(copy), (SIZE, SIZE))
