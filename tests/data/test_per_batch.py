"""Noise by batch in training batches: images, labels and truth of every place, the same for any number of ranks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from datasets_tools.make_noise import make_manifest
from noisebench.data.dataset import UNKNOWN_IDENTITY, NoisyFaces
from noisebench.data.loader import Batch, Loader
from noisebench.data.sampler import BatchSampler
from noisebench.errors import UserError
from noisebench.formats.face_set import FaceSet
from noisebench.noise.recipe import NoiseRecipe, PerBatch, load_recipe
from noisebench.noise.schema import CLEAN, CLOSED, OPEN
from tests.tiny import IDENTITIES, write_faces

BATCH = 12  # of which 3 are closed-set and 2 open-set noise
RECIPE = NoiseRecipe(name="mine", per_batch=PerBatch(closed=Decimal("0.25"), open=Decimal("0.2")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("per_batch") / "faces")


@pytest.fixture(scope="module")
def faces(folder: Path) -> NoisyFaces:
    base, outliers = FaceSet.open(folder), FaceSet.open(folder / "outliers")
    return NoisyFaces(base, outliers, make_manifest(RECIPE, base, outliers, seed=3))


def batches(faces: NoisyFaces, epoch: int, rank: int = 0, world_size: int = 1) -> list[Batch]:
    sampler = BatchSampler(num_rows=len(faces), batch_size=BATCH, seed=1, rank=rank, world_size=world_size)
    return list(Loader(faces, sampler, flip_seed=None, threads=1).epoch(epoch))


def test_each_place_of_a_batch_shows_and_says_what_its_noise_does(faces: NoisyFaces) -> None:
    order = BatchSampler(num_rows=len(faces), batch_size=BATCH, seed=1).order(epoch=2)
    assert faces.outliers is not None
    for step, batch in enumerate(batches(faces, epoch=2)):
        assert batch.exposures is not None
        assert batch.exposures.kind.tolist() == [OPEN] * 2 + [CLOSED] * 3 + [CLEAN] * 7
        for place, row in enumerate(order[step * BATCH : (step + 1) * BATCH]):
            own = int(faces.base.labels[row])
            assert batch.rows[place] == row
            if place < 2:
                key, given, true = int(batch.exposures.outlier_index[place]), own, UNKNOWN_IDENTITY
                image = faces.outliers.image(key)
            else:
                given, true = (own + 1) % IDENTITIES if place < 5 else own, own
                image = faces.base.image(int(faces.base.keys[row]))
            np.testing.assert_array_equal(batch.images[place], image)
            assert (int(batch.labels[place]), int(batch.true_labels[place])) == (given, true)


def test_an_image_is_noisy_in_some_epochs_only(faces: NoisyFaces) -> None:
    kinds = np.zeros((40, len(faces)), np.int8)
    for epoch in range(40):
        for batch in batches(faces, epoch):
            assert batch.exposures is not None
            kinds[epoch, batch.rows] = batch.exposures.kind
    assert (kinds == OPEN).sum() == 40 * 3 * 2
    assert (kinds == CLOSED).sum() == 40 * 3 * 3
    assert ((kinds == CLEAN).any(axis=0) & (kinds != CLEAN).any(axis=0)).all()


def test_ranks_together_see_what_one_process_sees(faces: NoisyFaces) -> None:
    ranks = [batches(faces, 1, rank, world_size=3) for rank in range(3)]
    for step, alone in enumerate(batches(faces, 1)):
        parts = [rank[step] for rank in ranks]
        for name, column in alone.logged().items():
            np.testing.assert_array_equal(np.concatenate([part.logged()[name] for part in parts]), column)
        np.testing.assert_array_equal(np.concatenate([part.images for part in parts]), alone.images)
        np.testing.assert_array_equal(np.concatenate([part.true_labels for part in parts]), alone.true_labels)


def test_the_records_of_a_step_are_named_as_they_were_read(faces: NoisyFaces) -> None:
    loader = Loader(faces, BatchSampler(num_rows=len(faces), batch_size=BATCH, seed=1), None, 1)
    batch = list(loader.epoch(4))[2]
    assert batch.exposures is not None
    outliers = [f"outlier {key}" for key in batch.exposures.outlier_index[:2]]
    assert loader.records(4, 2) == outliers + [f"{faces.manifest.index[row]}" for row in batch.rows[2:]]


def test_the_log_is_told_of_exposures_only_where_noise_is_by_batch(faces: NoisyFaces, folder: Path) -> None:
    assert list(batches(faces, 0)[0].logged()) == ["row", "exposure", "label", "outlier_index"]
    fixed = NoisyFaces(faces.base, None, make_manifest(load_recipe("closed30"), faces.base, None, seed=3))
    assert list(batches(fixed, 0)[0].logged()) == ["row"]


def test_batches_too_small_for_the_noise_are_refused(faces: NoisyFaces) -> None:
    with pytest.raises(UserError, match="hits no image in a batch of 3"):
        Loader(faces, BatchSampler(num_rows=len(faces), batch_size=3, seed=1), None, 1)
