"""A data set with its noise as PyTorch's own loader reads it, against the manifest and the images themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from datasets_tools.make_noise import make_manifest
from noisebench.data.torch_dataset import Sample, TorchFaces
from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet
from noisebench.noise.recipe import load_recipe
from noisebench.noise.schema import FROM_OUTLIERS, KINDS
from tests.tiny import SIZE, write_faces


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("torch") / "faces")


def test_every_sample_is_the_row_of_the_manifest(folder: Path) -> None:
    faces = TorchFaces.open(folder, "c20o20", seed=4)
    base, others = FaceSet.open(folder), FaceSet.open(folder / "outliers")
    manifest = make_manifest(load_recipe("c20o20"), base, others, 4)
    assert (len(faces), faces.num_classes, faces.image_size) == (len(manifest), base.num_classes, (SIZE, SIZE))
    kinds = set()
    for row in range(len(faces)):
        image, label, true_label = faces[row]
        source = others if manifest.source[row] == FROM_OUTLIERS else base
        pixels = source.image(int(manifest.source_index[row]))
        expected = ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)
        assert (image.dtype, tuple(image.shape)) == (torch.float32, (3, SIZE, SIZE))
        np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)
        kind = KINDS[manifest.kind[row]]
        assert label == manifest.label[row]
        assert true_label == (-1 if kind == "open" else manifest.true_label[row])
        kinds.add(kind)
    assert kinds == set(KINDS)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_makes_batches_of_them(folder: Path, workers: int) -> None:
    faces = TorchFaces.open(folder, "closed30")
    loader = DataLoader(faces, batch_size=8, num_workers=workers)
    images, labels, true_labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert labels.dtype == true_labels.dtype == torch.int64
    assert labels.tolist() == faces.faces.manifest.label.tolist()
    assert true_labels.tolist() == faces.faces.manifest.true_label.tolist()
    assert torch.equal(images, torch.stack([faces[row][0] for row in range(len(faces))]))


def test_a_batch_is_read_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = TorchFaces.open(folder)
    asked: list[list[int]] = []
    read = faces.__getitems__

    def told(rows: list[int]) -> list[Sample]:
        asked.append(list(rows))
        return read(rows)

    monkeypatch.setattr(faces, "__getitems__", told)
    list(DataLoader(faces, batch_size=20))
    assert asked == [list(range(20)), list(range(20, 36))]


def test_a_manifest_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    made = TorchFaces.open(folder, "open30", seed=7).faces.manifest
    made.write(tmp_path / "made.parquet")
    assert TorchFaces.open(str(folder), tmp_path / "made.parquet").faces.manifest.checksum == made.checksum
    elsewhere = TorchFaces.open(folder, tmp_path / "made.parquet", outliers=folder / "outliers")
    assert torch.equal(elsewhere[0][0], TorchFaces.open(folder, "open30", seed=7)[0][0])
    with pytest.raises(FileError, match="was made for another outlier set"):
        TorchFaces.open(folder, tmp_path / "made.parquet", outliers=folder)


def test_a_transform_is_applied_to_each_image(folder: Path) -> None:
    plain, mirrored = TorchFaces.open(folder), TorchFaces.open(folder, transform=lambda image: image.flip(2))
    for row in range(len(plain)):
        assert torch.equal(mirrored[row][0].flip(2), plain[row][0])
        assert mirrored[row][1:] == plain[row][1:]


def test_what_cannot_be(folder: Path) -> None:
    with pytest.raises(IndexError, match="row 36 of 36"):
        TorchFaces.open(folder)[36]
    with pytest.raises(UserError, match="'batch15o05' is drawn by batch"):
        TorchFaces.open(folder, "batch15o05")
    with pytest.raises(UserError, match="did you mean 'closed30'"):
        TorchFaces.open(folder, "closed3O")
