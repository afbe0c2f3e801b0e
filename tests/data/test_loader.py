"""Batches: what the manifest says, mirrored and scaled as named seeds say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from datasets_tools.make_noise import make_manifest
from noisebench.data.augment import flip_mask
from noisebench.data.dataset import UNKNOWN_IDENTITY, NoisyFaces
from noisebench.data.degrade import Degradations, degrade
from noisebench.data.loader import Loader, to_network_input
from noisebench.data.sampler import BatchSampler
from noisebench.errors import FileError
from noisebench.formats.face_set import FaceSet
from noisebench.noise.recipe import load_recipe
from noisebench.noise.schema import FROM_OUTLIERS
from tests.tiny import write_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> NoisyFaces:
    folder = write_faces(tmp_path_factory.mktemp("loader") / "faces")
    base, outliers = FaceSet.open(folder), FaceSet.open(folder / "outliers")
    return NoisyFaces(base, outliers, make_manifest(load_recipe("c20o20"), base, outliers, seed=3))


def test_each_row_shows_the_image_and_the_labels_of_the_manifest(faces: NoisyFaces) -> None:
    rows = np.arange(len(faces))[::-1].copy()
    images, labels, truths = faces.images(rows, threads=2), faces.labels(rows), faces.true_labels(rows)
    manifest = faces.manifest
    assert (manifest.source == FROM_OUTLIERS).any()
    assert faces.outliers is not None
    for position, row in enumerate(rows):
        is_open = manifest.source[row] == FROM_OUTLIERS
        source = faces.outliers if is_open else faces.base
        np.testing.assert_array_equal(images[position], source.image(int(manifest.source_index[row])))
        assert labels[position] == manifest.label[row]
        assert truths[position] == (UNKNOWN_IDENTITY if is_open else manifest.true_label[row])


def test_batches_come_in_the_samplers_order_whatever_the_threads(faces: NoisyFaces) -> None:
    sampler = BatchSampler(num_rows=len(faces), batch_size=8, seed=1)
    for threads in (1, 3):
        batches = list(Loader(faces, sampler, flip_seed=5, threads=threads).epoch(2))
        for batch, rows in zip(batches, sampler.batches(2), strict=True):
            np.testing.assert_array_equal(batch.rows, rows)
            expected = faces.images(rows, threads=1)
            mask = flip_mask(5, 2, rows)
            expected[mask] = expected[mask, :, ::-1]
            np.testing.assert_array_equal(batch.images, expected)


def test_a_loader_left_early_stops_working(faces: NoisyFaces) -> None:
    sampler = BatchSampler(num_rows=len(faces), batch_size=4, seed=1)
    epoch = Loader(faces, sampler, None, 1).epoch(0)
    unmirrored = faces.images(next(iter(sampler.batches(0))), threads=1)
    np.testing.assert_array_equal(next(epoch).images, unmirrored)
    epoch.close()  # type: ignore[attr-defined]
    assert list(epoch) == []


def test_pixels_are_scaled() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 4, 5, 3), dtype=torch.uint8, generator=generator)
    ready = to_network_input(images, torch.device("cpu"))
    assert ready.shape == (3, 3, 4, 5)
    assert ready.is_contiguous(memory_format=torch.channels_last)
    for number in range(3):
        for row, column, channel in np.ndindex(4, 5, 3):
            expected = (int(images[number, row, column, channel]) / 255 - 0.5) / 0.5
            assert ready[number, channel, row, column].item() == pytest.approx(expected, abs=1e-6)


def test_a_manifest_of_other_data_is_refused(faces: NoisyFaces, tmp_path: Path) -> None:
    other = write_faces(tmp_path / "other", seed=1)
    with pytest.raises(FileError, match="manifest"):
        NoisyFaces(FaceSet.open(other), faces.outliers, faces.manifest)


def test_images_are_degraded_before_they_are_mirrored(faces: NoisyFaces) -> None:
    sampler, odds = BatchSampler(num_rows=len(faces), batch_size=8, seed=1), Degradations(crop=0.5, photometric=0.5)
    batches = list(Loader(faces, sampler, flip_seed=5, threads=1, augment=odds, augment_seed=9).epoch(2))
    changed = 0
    for batch, rows in zip(batches, sampler.batches(2), strict=True):
        expected = faces.images(rows, threads=1)
        plain = expected.copy()
        degrade(expected, odds, 9, 2, rows)
        changed += int((expected != plain).any())
        mask = flip_mask(5, 2, rows)
        expected[mask] = expected[mask, :, ::-1]
        np.testing.assert_array_equal(batch.images, expected)
    assert changed


def test_the_device_mirrors_what_the_loader_would(faces: NoisyFaces) -> None:
    sampler, odds = BatchSampler(num_rows=len(faces), batch_size=8, seed=1), Degradations(crop=0.5)
    cpu, changed = torch.device("cpu"), 0
    here, there = (
        Loader(faces, sampler, flip_seed=5, threads=1, augment=odds, augment_seed=9, mirrors=mirrors).epoch(2)
        for mirrors in (True, False)
    )
    for done, left in zip(here, there, strict=True):
        assert done.mirrored is None
        assert left.mirrored is not None
        expected = to_network_input(done.images, cpu)
        for parts in (1, 2):
            found = [to_network_input(part.images, cpu, part.mirrored) for part in left.parts(parts)]
            np.testing.assert_array_equal(torch.cat(found), expected)
        assert found[0].is_contiguous(memory_format=torch.channels_last)
        changed += int(left.mirrored.sum())
    assert 0 < changed < len(faces)
