"""Logs that are damaged, of a diverged training, or not alone in their folder: told in a line, never a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisebench.analysis.centre_log import CentreLog, read_centres
from noisebench.analysis.figures import NothingToDrawError, angle_distributions
from noisebench.analysis.quality import norm_by_sharpness
from noisebench.analysis.run_log import RunLog
from noisebench.analysis.sample_log import COLUMNS, FLOAT_COLUMNS
from noisebench.analysis.whole_run import analyse
from noisebench.bench.store import Run
from noisebench.errors import FileError
from tests.analysis.made_up import made_up_run


def overwrite(run: Run, epoch: int, column: str, cells: dict[int, Any]) -> None:
    """Put other values into cells of a column of a sample log."""
    path = run.folder / "samples" / f"epoch={epoch:03d}" / "rank=0.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(column)
    values = [cells.get(row, cell) for row, cell in enumerate(table[column].to_pylist())]
    pq.write_table(table.set_column(place, table.field(column), pa.array(values, table.field(column).type)), path)


def diverge(run: Run, epoch: int) -> None:
    for column in FLOAT_COLUMNS:
        overwrite(run, epoch, column, dict.fromkeys(range(200), float("nan")))


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in FLOAT_COLUMNS])
def test_an_empty_cell_where_a_number_must_be_is_damage(tmp_path: Path, column: str) -> None:
    run = made_up_run(tmp_path)
    overwrite(run, 2, column, {5: None})
    with pytest.raises(FileError, match=f"column '{column}' are empty") as caught:
        RunLog.of_run(run).epoch(2)
    assert caught.value.path.name == "rank=0.parquet"


@pytest.mark.parametrize("row", [-1, 100])
def test_a_row_that_the_manifest_does_not_have_is_refused(tmp_path: Path, row: int) -> None:
    run = made_up_run(tmp_path)
    overwrite(run, 2, "row", {0: row})
    with pytest.raises(FileError, match=f"holds row {row}, but the manifest has only 100 rows"):
        RunLog.of_run(run).epoch(2)


def test_the_epochs_before_a_training_diverged_are_analysed(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    diverge(run, 2)
    analysis = analyse(run)
    assert sorted(analysis.tables["angles"]["epoch"].unique()) == [0, 1]
    assert [note for note in analysis.notes if note.startswith("epoch 2 is left out") and "diverged" in note]


def test_a_training_that_diverged_at_once_is_refused(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    for epoch in range(3):
        diverge(run, epoch)
    with pytest.raises(FileError, match=r"no epoch of its sample log can be analysed: .*training had diverged"):
        analyse(run)


def test_a_diverged_epoch_is_an_empty_row_of_the_figure(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    diverge(run, 2)
    figure = angle_distributions({"arcface": run.folder}, run.manifest())
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["epoch 0", "epoch 1", "epoch 2"]
    for epoch in (0, 1):
        diverge(run, epoch)
    with pytest.raises(NothingToDrawError, match="no angle"):
        angle_distributions({"arcface": run.folder}, run.manifest())


def test_copies_beside_a_centre_log_are_no_part_of_it(tmp_path: Path) -> None:
    log = CentreLog(tmp_path)
    log.append(0, np.eye(3))
    for folder, ending in (("centres", "parquet"), ("centres/reference", "npy")):
        shutil.copy(tmp_path / folder / f"epoch=000.{ending}", tmp_path / folder / f"epoch=000 (1).{ending}")
    log.append(1, np.roll(np.eye(3), 1, axis=0))
    log.forget(before=5)
    centres = read_centres(tmp_path)
    assert centres["epoch"].tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(centres["angle_first"], [0, 0, 0, np.pi / 2, np.pi / 2, np.pi / 2], rtol=1e-6)


def test_equally_sharp_images_are_in_no_bin() -> None:
    assert norm_by_sharpness(np.arange(12.0), np.ones(12)).empty
