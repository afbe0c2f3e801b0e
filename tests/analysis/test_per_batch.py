"""Noise by batch in logs, figures and tables: what an image was in an epoch, the log says and not the manifest."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from noisebench.analysis.figures import TRUE_CLASS, angle_densities, angle_distributions
from noisebench.analysis.sample_log import SampleLog, join_manifest, read_joined, read_samples
from noisebench.analysis.table_formats import to_markdown
from noisebench.analysis.tables import comparisons, overviews
from noisebench.errors import FileError, UserError
from noisebench.noise.manifest import Manifest
from noisebench.noise.per_batch import BatchNoise
from noisebench.noise.recipe import NoiseRecipe, PerBatch
from noisebench.noise.schema import CLEAN, CLOSED, KINDS, OPEN
from tests.analysis.runs import log_epoch, manifest, record

NUM_ROWS = 3000
DEGREES = np.arange(180) + 0.5
NOISE = BatchNoise(batch_size=128, closed=19, open=6, seed=0)


@pytest.fixture
def by_batch() -> Manifest:
    clean = manifest([CLEAN] * NUM_ROWS)
    rule = PerBatch(closed=Decimal("0.15"), open=Decimal(0))
    origin = clean.origin.model_copy(update={"recipe": NoiseRecipe(name="mine", per_batch=rule)})
    return Manifest(**clean.columns(), origin=origin)


def log(folder: Path, epoch: int, exposure: NDArray[np.integer], *, rank: int = 0, **columns: NDArray[Any]) -> Path:
    """An epoch of rows 0, 1, ..., of which the angle to the label is 30, 60 or 90 degrees by exposure."""
    row = columns.pop("row", np.arange(len(exposure)))
    cosine = np.cos(np.radians(30 + 30 * exposure))
    ones = np.ones(len(row), np.float32)
    samples = SampleLog(folder, rank, per_batch=True)
    samples.append(
        row,
        cosine_label=cosine,
        cosine_true=np.where(exposure == OPEN, np.nan, np.cos(np.radians(40.0))),
        cosine_nearest=ones,
        nearest=row,
        norm=ones,
        used_label=row,
        exposure=exposure,
        label=columns.get("label", row % 10),
        outlier_index=np.where(exposure == OPEN, 7000 + row, -1),
    )
    return samples.close_epoch(epoch)


def test_exposures_come_back_as_they_were_logged_whatever_the_ranks(tmp_path: Path) -> None:
    exposure = np.array([OPEN, CLEAN, CLOSED, CLEAN])
    row = np.array([6, 0, 4, 2])
    path = log(tmp_path, 0, exposure, row=row, label=np.array([1, 2, 3, 4]))
    log(tmp_path, 0, np.array([CLEAN, CLEAN]), rank=1, row=np.array([3, 1]), label=np.array([5, 6]))
    types = {field.name: str(field.type) for field in pq.ParquetFile(path).schema_arrow}
    assert types["exposure"].startswith("dictionary<values=string, indices=int8")
    assert (types["label"], types["outlier_index"]) == ("int32", "int64")
    assert pq.read_table(path)["outlier_index"].to_pylist() == [None, None, None, 7006]
    frame = read_samples(tmp_path)
    assert frame["row"].tolist() == [0, 1, 2, 3, 4, 6]
    assert frame["exposure"].tolist() == ["clean", "clean", "clean", "clean", "closed", "open"]
    assert list(frame["exposure"].cat.categories) == list(KINDS)
    assert frame["label"].tolist() == [2, 6, 4, 5, 3, 1]
    assert frame["outlier_index"].tolist() == [-1, -1, -1, -1, -1, 7006]
    assert read_samples(tmp_path, 0, ["exposure"]).columns.tolist() == ["epoch", "exposure"]


def test_a_rank_without_rows_does_no_harm(tmp_path: Path) -> None:
    log(tmp_path, 0, np.array([OPEN, CLEAN]))
    SampleLog(tmp_path, rank=1, per_batch=True).close_epoch(0)
    assert read_samples(tmp_path)["exposure"].tolist() == ["open", "clean"]


def test_80_megabytes_an_epoch_suffice_for_5_8_million_images_with_their_exposures(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows, share = 2 * 200_000, 200_000
    order = random.permutation(rows)[:share]
    place = np.arange(share) % 128
    exposure = np.where(place < 6, OPEN, np.where(place < 25, CLOSED, CLEAN))
    samples = SampleLog(tmp_path, per_batch=True)
    samples.append(
        order,
        cosine_label=np.cos(random.normal(1.0, 0.3, share)).astype(np.float32),
        cosine_true=np.cos(random.normal(0.8, 0.2, share)).astype(np.float32),
        cosine_nearest=np.cos(random.normal(1.25, 0.06, share)).astype(np.float32),
        nearest=random.integers(0, 85742, share),
        norm=np.exp(random.normal(3, 0.25, share)).astype(np.float32),
        used_label=np.where(random.random(share) < 0.3, random.integers(0, 85742, share), order // 68),
        exposure=exposure,
        label=order // 68 + (exposure == CLOSED),
        outlier_index=np.where(exposure == OPEN, random.integers(0, 3_100_000, share), -1),
    )
    assert samples.close_epoch(0).stat().st_size / share * 5.8e6 < 80e6


def test_an_image_counts_in_each_epoch_as_what_it_was_then(tmp_path: Path, by_batch: Manifest) -> None:
    log(tmp_path, 0, np.arange(NUM_ROWS) % 3)
    log(tmp_path, 1, np.zeros(NUM_ROWS, int))
    joined = read_joined(tmp_path, by_batch, 0, ["angle_label"])
    assert joined["kind"].tolist() == ["clean", "closed", "open"] * (NUM_ROWS // 3)
    assert joined["true_label"].tolist() == by_batch.true_label.tolist()
    assert joined["label"].tolist() == (np.arange(NUM_ROWS) % 10).tolist()
    densities = angle_densities(tmp_path, by_batch, 0)
    means = {name: (density * DEGREES).sum() for name, density in densities.items()}
    assert means == pytest.approx({"clean": 30, "closed": 60, "open": 90, TRUE_CLASS: 40}, abs=1)
    assert list(angle_densities(tmp_path, by_batch, 1)) == ["clean"]


def test_the_figure_says_that_the_noise_is_per_batch(tmp_path: Path, by_batch: Manifest) -> None:
    log(tmp_path / "batch", 0, np.arange(NUM_ROWS) % 3)
    figure = angle_distributions({"arcface": tmp_path / "batch"}, by_batch)
    assert "mine: noise per batch, not a property of the sample" in figure.get_supxlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()][1:3] == ["closed-set noise", "open-set noise"]
    log_epoch(tmp_path / "fixed", 0, np.arange(NUM_ROWS))
    fixed = angle_distributions({"arcface": tmp_path / "fixed"}, manifest([CLEAN] * NUM_ROWS))
    assert "per batch" not in fixed.get_supxlabel()


def test_a_log_and_a_manifest_of_different_noise_are_not_joined(tmp_path: Path, by_batch: Manifest) -> None:
    log(tmp_path / "batch", 0, np.array([OPEN, CLEAN]))
    log_epoch(tmp_path / "fixed", 0, np.arange(2))
    with pytest.raises(UserError, match="by batch in the sample log alone"):
        join_manifest(read_samples(tmp_path / "batch"), manifest([CLEAN, CLEAN]))
    with pytest.raises(UserError, match="by batch in the manifest alone"):
        join_manifest(read_samples(tmp_path / "fixed"), by_batch)
    with pytest.raises(FileError, match="has no column 'exposure': the noise of this run is not by batch"):
        read_joined(tmp_path / "fixed", by_batch, columns=["norm"])


def test_exposures_are_logged_with_noise_by_batch_and_with_it_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="given or left out that this log is not of"):
        log_epoch(tmp_path, 0, np.arange(2), exposure=np.zeros(2), label=np.zeros(2), outlier_index=np.zeros(2))
    row, ones = np.arange(2), np.ones(2)
    with pytest.raises(ValueError, match="given or left out that this log is not of"):
        SampleLog(tmp_path, per_batch=True).append(
            row, cosine_label=ones, cosine_true=ones, cosine_nearest=ones, nearest=row, norm=ones, used_label=row
        )


def test_the_table_says_what_is_done_to_a_batch() -> None:
    counts = {"clean": 1000, "closed": 0, "open": 0}
    (table,) = comparisons([record(noise="batch15o05", noise_counts=counts, noise_per_batch=NOISE)])
    assert table.title == "synth, faces, batch15o05 (noise per batch)"
    assert table.header["Noise"] == (
        "batch15o05: by batch, not a property of the sample: "
        "14.84% closed-set (19 of 128 images) and 4.69% open-set (6 of 128 images)"
    )
    assert "no label changed" not in to_markdown([table])
    (overview,) = overviews([record(noise="batch15o05", noise_per_batch=NOISE), record()], "faces")
    assert "by batch, not a property of the sample" in overview.header["Noise"]


def test_runs_with_other_noise_by_batch_are_not_averaged() -> None:
    """Their manifests have the same columns, and so the same checksum."""
    runs = [
        record(noise="mine", seed=seed, noise_per_batch=NOISE.model_copy(update={"closed": closed}))
        for seed, closed in ((0, 19), (1, 20))
    ]
    with pytest.raises(UserError, match="differ in noise by batch"):
        comparisons(runs)
