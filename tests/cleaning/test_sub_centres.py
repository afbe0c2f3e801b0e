"""The drop rule of Sub-center ArcFace, against a loop over images, and what is said where it cannot be applied."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets_tools.make_noise import make_manifest
from noisebench import backbones
from noisebench.analysis.run_log import RunLog
from noisebench.bench.store import Run, manifest_path
from noisebench.cleaning.sub_centres import SubCentreRule
from noisebench.errors import FileError
from noisebench.formats.face_set import FaceSet
from noisebench.models.model_file import MODEL_FILE, save_model
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe
from tests.analysis.runs import record
from tests.tiny import IDENTITIES, SIZE, write_faces

DIMENSIONS, K = 4, 3


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("sub_centres") / "faces")


@pytest.fixture
def trained(tmp_path: Path, faces: Path) -> tuple[Run, RunLog]:
    """A run of a network that was not trained, with sub-centres that lie anywhere near its embeddings."""
    noise = make_manifest(load_recipe("closed30"), FaceSet.open(faces), None, seed=0)
    backbone = backbones.create("small_ir", embedding_size=DIMENSIONS, image_size=(SIZE, SIZE), seed=0)
    folder = tmp_path / "closed30" / "subcenter_arcface" / "seed0"
    noise.write(manifest_path(folder.parents[1], noise.checksum, None))
    save_model(folder / MODEL_FILE, backbone, name="small_ir", embedding_size=DIMENSIONS, image_size=(SIZE, SIZE))
    around = np.mean([embedding(backbone, noise, faces, row) for row in range(6)], axis=0)
    spread = np.random.Generator(np.random.Philox(1)).normal(size=(IDENTITIES, K, DIMENSIONS))
    np.save(folder / "centres.npy", (around + np.abs(around).mean() * spread).astype(np.float32))
    done = record(method="subcenter_arcface", manifest_checksum=noise.checksum)
    return Run(folder, done), RunLog(folder, noise, ())


def embedding(backbone: torch.nn.Module, noise: Manifest, faces: Path, row: int) -> np.ndarray:
    image = FaceSet.open(faces).image(int(noise.index[row])).astype(np.float32) / 127.5 - 1
    with torch.inference_mode():
        return np.asarray(backbone.eval()(torch.from_numpy(image.transpose(2, 0, 1)[None]))[0])


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return math.acos(float(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_both_readings_are_as_a_loop_over_images_finds(trained: tuple[Run, RunLog], faces: Path) -> None:
    run, log = trained
    noise, centres = log.manifest, np.load(run.folder / "centres.npy").astype(np.float64)
    backbone = backbones.create("small_ir", embedding_size=DIMENSIONS, image_size=(SIZE, SIZE), seed=0)
    embeddings = [embedding(backbone, noise, faces, row).astype(np.float64) for row in range(len(noise))]
    nearest, to_dominant = np.zeros(len(noise), int), np.zeros(len(noise))
    is_dominant = np.zeros(len(noise), bool)
    for label in range(IDENTITIES):
        rows = np.flatnonzero(noise.label == label)
        for row in rows:
            nearest[row] = int(np.argmin([angle(embeddings[row], centre) for centre in centres[label]]))
        dominant = int(np.argmax([sum(nearest[rows] == k) for k in range(K)]))
        for row in rows:
            to_dominant[row] = angle(embeddings[row], centres[label, dominant])
            is_dominant[row] = nearest[row] == dominant
    threshold = float(np.median(to_dominant)) + 1e-4
    code = SubCentreRule(data=faces, threshold=threshold).judge(run, log)
    paper = SubCentreRule(data=faces, threshold=threshold, reading="paper").judge(run, log)
    np.testing.assert_allclose(code.score, to_dominant, atol=2e-4)
    assert code.flagged.tolist() == (to_dominant > threshold).tolist()
    assert paper.flagged.tolist() == ((to_dominant > threshold) & ~is_dominant).tolist()
    assert 0 < paper.flagged.sum() < code.flagged.sum() < len(noise)


@pytest.mark.parametrize(
    ("centres", "said"),
    [
        (None, "no class centres here"),
        (np.zeros((IDENTITIES, DIMENSIONS), np.float32), "by a run of a method with sub-centres"),
        (np.zeros((IDENTITIES, 1, DIMENSIONS), np.float32), "by a run of a method with sub-centres"),
        (np.zeros((IDENTITIES, K, DIMENSIONS), np.int64), "holds int64 of shape"),
        (np.zeros((IDENTITIES + 1, K, DIMENSIONS), np.float32), f"holds the centres of {IDENTITIES + 1} classes"),
        (np.ones((IDENTITIES, K, 7), np.float32), "its centres have 7 dimensions, its embeddings 4"),
    ],
)
def test_centres_that_do_not_fit_are_refused(
    trained: tuple[Run, RunLog], faces: Path, centres: np.ndarray | None, said: str
) -> None:
    run, log = trained
    (run.folder / "centres.npy").unlink()
    if centres is not None:
        np.save(run.folder / "centres.npy", centres)
    with pytest.raises(FileError, match=said):
        SubCentreRule(data=faces).judge(run, log)


def test_a_run_that_does_not_say_where_its_images_are_asks_for_them(trained: tuple[Run, RunLog]) -> None:
    with pytest.raises(FileError, match="name it with --data"):
        SubCentreRule().judge(*trained)
