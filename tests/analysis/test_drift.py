"""Drift of centres: rotations undone, class sizes grouped by hand, means of clean samples embedded one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from noisebench import backbones
from noisebench.analysis import drift
from noisebench.analysis.centre_log import CentreLog
from noisebench.analysis.clean_means import ClassMeans, clean_rows, drift_from_clean_means
from noisebench.analysis.drift import (
    aligned_angles,
    alignment,
    angles_between,
    by_class_size,
    drift_by_epoch,
    drift_from_clean_run,
    read_final_centres,
)
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.data.loader import to_network_input
from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet
from noisebench.models import model_file
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED
from tests.analysis.made_up import made_up_run
from tests.analysis.runs import manifest
from tests.tiny import IDENTITIES, IMAGES, SIZE, write_faces

NUM_CLASSES = 10


def vectors(seed: int, rows: int, size: int) -> NDArray[np.float32]:
    return np.random.Generator(np.random.Philox(seed)).standard_normal((rows, size), dtype=np.float32)


def angle(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


@pytest.mark.parametrize("at_once", [7, 1000])
def test_a_rotation_is_undone(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(drift, "CLASSES_AT_ONCE", at_once)
    fixed = vectors(0, 60, 8)
    rotation = np.linalg.qr(vectors(1, 8, 8))[0].astype(np.float32)
    rotation[:, 0] *= -1  # a reflection is as good
    assert np.abs(aligned_angles(3 * fixed @ rotation.T, fixed)).max() < 1e-5
    np.testing.assert_allclose(alignment(fixed @ rotation.T, fixed), rotation, atol=1e-5)


def test_what_moved_besides_is_seen() -> None:
    fixed = vectors(2, 500, 6)
    moved = fixed.copy()
    moved[7] = vectors(3, 1, 6)
    found = aligned_angles(moved @ np.linalg.qr(vectors(4, 6, 6))[0], fixed)
    assert found.argmax() == 7
    assert found[7] == pytest.approx(angle(moved[7], fixed[7]), abs=0.02)


def test_no_other_rotation_leaves_less() -> None:
    moving, fixed = vectors(5, 40, 4), vectors(6, 40, 4)
    moving /= np.linalg.norm(moving, axis=1, keepdims=True)
    fixed /= np.linalg.norm(fixed, axis=1, keepdims=True)
    best = np.linalg.norm(moving @ alignment(moving, fixed) - fixed)
    for seed in range(200):
        other = np.linalg.qr(alignment(moving, fixed) + 0.2 * vectors(10 + seed, 4, 4))[0]
        assert np.linalg.norm(moving @ other - fixed) >= best - 1e-6


def test_class_sizes_are_grouped() -> None:
    sizes = np.array([0, 1, 4, 5, 99, 100, 600, 7])
    values = np.array([9.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, np.nan])
    frame = by_class_size(values, sizes).set_index("images")
    assert frame["classes"].to_dict() == {"all": 7, "1-4": 2, "5-9": 1, "50-99": 1, "100-199": 1, "500+": 1}
    assert frame.loc["1-4", "mean"] == pytest.approx(0.2)
    assert frame.loc["all", "median"] == pytest.approx(0.7)
    assert frame.loc["500+", "p95"] == pytest.approx(1.1)


def test_the_centre_log_by_epoch_and_class_size(tmp_path: Path) -> None:
    noise = manifest([CLEAN] * 47, NUM_CLASSES)  # seven classes of 5 images, three of 4
    log = CentreLog(tmp_path)
    for epoch in range(3):
        turned = np.stack([[np.cos(a), np.sin(a)] for a in np.arange(NUM_CLASSES) * 0.1 * epoch])
        log.append(epoch, turned)
    frame = drift_by_epoch(tmp_path, noise).set_index(["epoch", "since", "images"])
    assert (0, "previous", "all") not in frame.index
    assert frame.loc[(2, "previous", "all"), "mean"] == pytest.approx(0.45, abs=1e-6)
    assert frame.loc[(2, "first", "1-4"), "mean"] == pytest.approx(0.2 * 8, abs=1e-6)
    assert frame.loc[(2, "first", "5-9"), "classes"] == 7
    with pytest.raises(FileError, match="has 10 classes, the manifest 12"):
        drift_by_epoch(tmp_path, manifest([CLEAN] * 24, 12))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Run, Run]:
    """A noisy run and a clean one, whose centres are the noisy ones turned but for class 3."""
    noisy, clean = made_up_run(tmp_path), made_up_run(tmp_path, "clean", [CLEAN] * 100)
    centres = vectors(0, NUM_CLASSES, 3)
    np.save(noisy.folder / "centres.npy", centres)
    turned = centres @ np.linalg.qr(vectors(1, 3, 3))[0]
    turned[3] += 0.1
    np.save(clean.folder / "centres.npy", turned.astype(np.float16))
    return noisy, clean


def test_centres_against_those_of_the_clean_run(runs: tuple[Run, Run]) -> None:
    noisy, clean = runs
    frame = drift_from_clean_run(noisy, clean)
    assert frame["angle"].idxmax() == 3
    noise = noisy.manifest()
    for row in frame.itertuples():
        of_class = noise.label == row.label
        assert row.images == of_class.sum()
        assert row.noisy_share == pytest.approx((noise.kind[of_class] != CLEAN).mean())


def test_the_other_run_must_be_clean_and_of_the_same_data(runs: tuple[Run, Run], tmp_path: Path) -> None:
    noisy, clean = runs
    with pytest.raises(UserError, match="was trained with noise 'closed30': give a run of clean labels"):
        drift_from_clean_run(clean, noisy)
    data = clean.record.data.model_copy(update={"fingerprint": "0" * 64})
    with pytest.raises(UserError, match="different data sets"):
        drift_from_clean_run(noisy, Run(clean.folder, clean.record.model_copy(update={"data": data})))
    np.save(clean.folder / "centres.npy", vectors(0, NUM_CLASSES, 5))
    with pytest.raises(FileError, match=r"5 dimensions, those of .* 3"):
        drift_from_clean_run(noisy, clean)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no class centres here"),
        (b"no array", "no readable array"),
        (np.zeros((2, 3)), r"holds float64 of shape \[2, 3\]"),
        (np.zeros(3, np.float32), r"of shape \[3\]"),
        (np.array([{}]), "no readable array"),
    ],
    ids=["none", "text", "double", "vector", "pickle"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | NDArray[np.generic] | None, said: str) -> None:
    if isinstance(content, bytes):
        (tmp_path / "centres.npy").write_bytes(content)
    elif content is not None:
        np.save(tmp_path / "centres.npy", content, allow_pickle=True)
    with pytest.raises(FileError, match=said):
        read_final_centres(tmp_path)


def test_of_sub_centres_the_first_is_meant(tmp_path: Path) -> None:
    centres = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    np.save(tmp_path / "centres.npy", centres)
    np.testing.assert_array_equal(read_final_centres(tmp_path), centres[:, 0])


def test_means_of_unit_vectors() -> None:
    embeddings, labels = vectors(0, 9, 4), np.array([0, 0, 2, 0, 2, 2, 2, 0, 0])
    means = ClassMeans(3, 4)
    means.add(embeddings[:4], labels[:4])
    means.add(embeddings[4:], labels[4:])
    unit = [row / np.linalg.norm(row) for row in embeddings]
    for label in (0, 2):
        expected = np.mean([unit[place] for place in range(9) if labels[place] == label], axis=0)
        np.testing.assert_allclose(means.means()[label], expected, rtol=1e-5)
    assert np.isnan(means.means()[1]).all()
    assert np.isnan(angles_between(vectors(1, 3, 4), means.means())).tolist() == [False, True, False]


def test_clean_rows_of_each_class() -> None:
    noise = manifest([CLEAN, CLOSED] * 20 + [CLEAN] * 20, 4)
    rows = clean_rows(noise, 3)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert (noise.kind[rows] == CLEAN).all()
    assert np.bincount(noise.label[rows], minlength=4).tolist() == [3, 3, 3, 3]
    assert set(rows) < set(clean_rows(noise, 4))
    assert clean_rows(noise, 1000).tolist() == np.flatnonzero(noise.kind == CLEAN).tolist()


def test_clean_rows_of_some_classes() -> None:
    noise = manifest([CLEAN, CLEAN, CLOSED] * 40, NUM_CLASSES)
    few, more = (clean_rows(noise, 3, num_classes) for num_classes in (2, 5))
    assert [len(np.unique(noise.label[rows])) for rows in (few, more)] == [2, 5]
    assert set(few) < set(more) < set(clean_rows(noise, 3))


def test_centres_against_the_means_of_clean_samples(tmp_path: Path) -> None:
    base = FaceSet.open(write_faces(tmp_path / "faces"))
    kinds = [CLOSED if place % 5 == 0 else CLEAN for place in range(IDENTITIES * IMAGES)]
    made = manifest(kinds, IDENTITIES)
    label = np.where(made.kind == CLOSED, (base.labels + 1) % IDENTITIES, base.labels).astype(np.int32)
    columns = made.columns() | {"index": base.keys, "source_index": base.keys, "label": label}
    columns |= dict.fromkeys(("true_label", "source_label"), base.labels)
    fingerprints = made.origin.fingerprints.model_copy(update={"base": base.fingerprint})
    noise = Manifest(**columns, origin=made.origin.model_copy(update={"fingerprints": fingerprints}))
    backbone = backbones.create("small_ir", embedding_size=8, image_size=(SIZE, SIZE), seed=3)
    model_file.save_model(tmp_path / "model.pt", backbone, name="small_ir", embedding_size=8, image_size=(SIZE, SIZE))
    centres = vectors(0, IDENTITIES, 8)
    np.save(tmp_path / "centres.npy", centres)
    frame = drift_from_clean_means(tmp_path, NoisyFaces(base, None, noise), images_per_class=100)
    backbone.eval()
    for row in frame.itertuples():
        own = [key for key, who, kind in zip(base.keys, label, kinds, strict=True) if who == row.label and not kind]
        images = torch.from_numpy(np.stack([base.image(int(key)) for key in own]))
        with torch.inference_mode():
            found = backbone(to_network_input(images, torch.device("cpu"))).numpy()
        mean = np.mean([vector / np.linalg.norm(vector) for vector in found], axis=0)
        assert row.angle == pytest.approx(angle(mean, centres[int(str(row.label))]), abs=1e-4)
    np.save(tmp_path / "centres.npy", centres[:4])
    with pytest.raises(FileError, match="left 4 centres, its manifest has 6 classes"):
        drift_from_clean_means(tmp_path, NoisyFaces(base, None, noise), images_per_class=1)
