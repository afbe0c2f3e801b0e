"""The sample log: what comes back is what went in, in angles; ranks, epochs and nulls; and its size on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from noisebench.analysis.sample_log import COLUMNS, SampleLog, join_manifest, logged_epochs, read_samples
from noisebench.errors import FileError, UserError
from tests.analysis.runs import log_epoch, manifest


def test_what_comes_back_is_what_went_in(tmp_path: Path) -> None:
    log = SampleLog(tmp_path)
    for rows in ([3, 1], [0, 2]):  # batches come in the sampler's order
        row = np.array(rows)
        log.append(
            row,
            cosine_label=np.cos(0.57 * row),
            cosine_true=np.where(row == 2, np.nan, np.cos(0.31 * row)),
            cosine_nearest=np.cos(0.113 * row),
            nearest=10 + row,
            norm=20 + row / 3,
            used_label=5 + row,
        )
    path = log.close_epoch(7)
    assert path == tmp_path / "samples" / "epoch=007" / "rank=0.parquet"
    frame = read_samples(tmp_path)
    assert list(frame.columns) == ["epoch", *COLUMNS]
    assert frame["epoch"].tolist() == [7, 7, 7, 7]
    assert frame["row"].tolist() == [0, 1, 2, 3]
    assert frame["nearest"].tolist() == [10, 11, 12, 13]
    assert frame["used_label"].tolist() == [5, 6, 7, 8]
    row = np.arange(4)
    half_step = 0.5 / 2048
    np.testing.assert_allclose(frame["angle_label"], 0.57 * row, atol=half_step)
    np.testing.assert_allclose(frame["angle_nearest"], 0.113 * row, atol=half_step)
    np.testing.assert_allclose(frame["angle_true"], np.where(row == 2, np.nan, 0.31 * row), atol=half_step)
    np.testing.assert_allclose(frame["norm"], 20 + row / 3, rtol=2**-11)


def test_a_method_with_sub_centres_says_which_is_nearest(tmp_path: Path) -> None:
    row, cosine = np.array([2, 0, 1]), np.zeros(3)

    def append(log: SampleLog, sub_centre: NDArray[np.int64] | None) -> None:
        log.append(
            row,
            cosine_label=cosine,
            cosine_true=cosine,
            cosine_nearest=cosine,
            nearest=row,
            norm=cosine,
            used_label=row,
            sub_centre=sub_centre,
        )

    log = SampleLog(tmp_path / "several", sub_centres=True)
    append(log, np.array([1, 2, 0]))
    log.close_epoch(0)
    assert read_samples(tmp_path / "several", columns=["sub_centre"])["sub_centre"].tolist() == [2, 0, 1]
    assert read_samples(tmp_path / "several").columns.tolist() == ["epoch", *COLUMNS, "sub_centre"]
    with pytest.raises(ValueError, match="left out"):
        append(log, None)
    one = SampleLog(tmp_path / "one")
    append(one, None)
    one.close_epoch(0)
    with pytest.raises(FileError, match="has no column 'sub_centre': the method of this run has one centre a class"):
        read_samples(tmp_path / "one", columns=["sub_centre"])


def test_the_file_has_the_types_of_the_contract_and_nulls_for_open_set_rows(tmp_path: Path) -> None:
    path = log_epoch(tmp_path, 0, np.arange(3), cosine_true=np.array([0.5, np.nan, 0.5], np.float32))
    table = pq.ParquetFile(path).read()
    assert {field.name: str(field.type) for field in table.schema} == {
        "row": "int64",
        "angle_label": "float",
        "angle_true": "float",
        "angle_nearest": "float",
        "nearest": "int32",
        "norm": "float",
        "used_label": "int32",
    }
    assert table["angle_true"].is_null().to_pylist() == [False, True, False]
    assert sum(table[name].null_count for name in COLUMNS) == 1


def test_cosines_beyond_one_are_angles_of_zero_and_pi(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(2), cosine_label=np.array([1.0000002, -1.0000002], np.float32))
    np.testing.assert_allclose(read_samples(tmp_path)["angle_label"], [0, np.pi], atol=0.5 / 2048)


def test_ranks_are_joined_in_the_order_of_rows(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.array([4, 0, 2]), rank=0, used_label=np.array([14, 10, 12]))
    log_epoch(tmp_path, 0, np.array([1, 3, 5]), rank=1, used_label=np.array([11, 13, 15]))
    frame = read_samples(tmp_path, epoch=0, columns=["used_label"])
    assert list(frame.columns) == ["epoch", "used_label"]
    assert frame["used_label"].tolist() == [10, 11, 12, 13, 14, 15]


def test_an_epoch_closes_with_its_own_rows_only(tmp_path: Path) -> None:
    log = SampleLog(tmp_path)
    ones = np.ones(2, np.float32)
    for epoch in range(3):
        row = np.array([2 * epoch, 2 * epoch + 1])
        log.append(
            row, cosine_label=ones, cosine_true=ones, cosine_nearest=ones, nearest=row, norm=ones, used_label=row
        )
        log.close_epoch(epoch)
    assert logged_epochs(tmp_path) == [0, 1, 2]
    frame = read_samples(tmp_path)
    assert frame["epoch"].tolist() == [0, 0, 1, 1, 2, 2]
    assert frame["row"].tolist() == [0, 1, 2, 3, 4, 5]
    assert read_samples(tmp_path, epoch=1)["row"].tolist() == [2, 3]


def test_a_rank_without_rows_writes_an_empty_file(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(2), rank=0)
    SampleLog(tmp_path, rank=1).close_epoch(0)
    assert read_samples(tmp_path)["row"].tolist() == [0, 1]


def test_columns_of_different_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        log_epoch(tmp_path, 0, np.arange(3), norm=np.ones(2))


def test_80_megabytes_an_epoch_suffice_for_5_8_million_images(tmp_path: Path) -> None:
    """Half the rows of a set: cosines as spread as in training, nearest classes among 85,742."""
    random = np.random.default_rng(0)
    rows = 200_000
    order = random.permutation(2 * rows)[:rows]
    path = log_epoch(
        tmp_path,
        0,
        order,
        cosine_label=np.cos(random.normal(1.0, 0.3, rows)).astype(np.float32),
        cosine_true=np.cos(random.normal(0.8, 0.2, rows)).astype(np.float32),
        cosine_nearest=np.cos(random.normal(1.25, 0.06, rows)).astype(np.float32),
        nearest=random.integers(0, 85742, rows),
        norm=np.exp(random.normal(3, 0.25, rows)).astype(np.float32),
        used_label=np.where(random.random(rows) < 0.3, random.integers(0, 85742, rows), order // 68),
    )
    assert path.stat().st_size / rows * 5.8e6 < 80e6


def test_the_manifest_tells_what_was_done_to_each_row(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.array([0, 2, 3]))
    joined = join_manifest(read_samples(tmp_path), manifest([0, 0, 1, 2], num_classes=3))
    assert joined["kind"].tolist() == ["clean", "closed", "open"]
    assert joined["true_label"].tolist() == [0, 2, 0]
    assert joined["label"].tolist() == [0, 0, 0]
    assert list(joined["kind"].cat.categories) == ["clean", "closed", "open"]


def test_a_log_of_another_manifest_is_refused(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(5))
    with pytest.raises(UserError, match="row 4, but the manifest has only 4 rows"):
        join_manifest(read_samples(tmp_path), manifest([0, 0, 1, 1]))


def test_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no sample log here"):
        read_samples(tmp_path)


def test_a_missing_epoch_is_said(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(2))
    log_epoch(tmp_path, 3, np.arange(2))
    with pytest.raises(FileError, match="no sample log of epoch 5: there are 0 to 3"):
        read_samples(tmp_path, epoch=5)


def test_an_unknown_column_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column 'angle_lable': did you mean 'angle_label'"):
        read_samples(tmp_path, columns=["angle_lable"])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = log_epoch(tmp_path, 0, np.arange(2))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileError, match=r"rank=0\.parquet: damaged sample log"):
        read_samples(tmp_path)


def test_a_file_with_other_columns_is_named(tmp_path: Path) -> None:
    path = log_epoch(tmp_path, 0, np.arange(2))
    pq.write_table(pa.Table.from_pandas(pd.DataFrame({"row": [0]})), path)
    with pytest.raises(FileError, match="not a sample log: its columns are row"):
        read_samples(tmp_path)
