"""The stored analysis of a run is used where it is this run's, and made anew where it is not or is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from noisebench.analysis.run_tables import NUMBERS, tables_of
from noisebench.analysis.whole_run import analyse
from noisebench.bench.store import Run
from tests.analysis.made_up import log_made_up, made_up_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_up_run(tmp_path)


def test_it_is_what_the_analysis_gives_stored_or_not(run: Run) -> None:
    expected = analyse(run)
    for _ in range(2):
        found = tables_of(run)
        assert set(found.tables) == set(NUMBERS) & set(expected.tables)
        assert found.notes == tuple(expected.notes)
        for name, table in found.tables.items():
            pd.testing.assert_frame_equal(table, expected.tables[name], check_dtype=False, rtol=1e-6)


def test_the_stored_one_is_read(run: Run) -> None:
    tables_of(run)
    path = run.folder / "analysis" / "memorisation.csv"
    path.write_text(path.read_text().replace("closed", "changed"))
    assert "changed" in set(tables_of(run).tables["memorisation"]["kind"])


def _break_summary(folder: Path) -> None:
    (folder / "analysis" / "summary.json").write_text("[")


def _other_run(folder: Path) -> None:
    path = folder / "analysis" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hash": "another"}))


def _words_for_numbers(folder: Path) -> None:
    path = folder / "analysis" / "detection.csv"
    path.write_text(path.read_text().replace("angle,all", "angle,all,many", 1))


def _missing_column(folder: Path) -> None:
    (folder / "analysis" / "memorisation.csv").write_text("epoch,to_label,to_true\n0,1,1\n")


def _missing_file(folder: Path) -> None:
    (folder / "analysis" / "corrections.csv").unlink()


def _other_log(folder: Path) -> None:
    """The same epochs of another training, as where a run was removed and made anew."""
    made = made_up_run(folder / "other", seed=3)
    log_made_up(made.folder, made.manifest(), 2, seed=77)
    (made.folder / "samples/epoch=002/rank=0.parquet").replace(folder / "samples/epoch=002/rank=0.parquet")


def _later_state(folder: Path) -> None:
    (folder / "state.csv").write_text("step,phi\n0,0.5\n")


def _shorter_log(folder: Path) -> None:
    shutil.rmtree(folder / "samples" / "epoch=002")


@pytest.mark.parametrize(
    "damage",
    [
        *(_break_summary, _other_run, _words_for_numbers, _missing_column, _missing_file),
        *(_shorter_log, _other_log, _later_state),
    ],
)
def test_a_stored_one_that_does_not_fit_is_made_anew(run: Run, damage: Callable[[Path], None]) -> None:
    tables_of(run)
    damage(run.folder)
    expected, found = analyse(run).tables, tables_of(run).tables
    assert set(found) == set(NUMBERS) & set(expected)
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, expected[name], check_dtype=False, rtol=1e-6)


def test_a_copied_results_folder_keeps_its_analyses(run: Run, tmp_path: Path) -> None:
    tables_of(run)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "runs", copy / "runs", copy_function=shutil.copyfile)
    copied = Run(copy / run.folder.relative_to(tmp_path), run.record)
    path = copied.folder / "analysis" / "memorisation.csv"
    path.write_text(path.read_text().replace("closed", "changed"))
    assert "changed" in set(tables_of(copied).tables["memorisation"]["kind"])
