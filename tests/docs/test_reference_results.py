"""The reference results that are shipped: their tables and their page follow from their records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from noisebench.analysis.outcome import write_tables
from noisebench.bench.store import Run, all_runs
from tests.docs.reference_page import PAGE, README, REFERENCE, page, readme


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return all_runs(REFERENCE)


def test_every_cell_is_there_and_done(runs: list[Run]) -> None:
    cells = {(run.record.method, run.record.noise, run.record.seed) for run in runs}
    methods, noises, seeds = (set(names) for names in zip(*cells, strict=True))
    assert len(cells) == len(runs) == len(methods) * len(noises) * len(seeds)
    assert len(methods) >= 12
    assert len(seeds) >= 3
    assert noises == {"clean", "closed10", "closed30", "closed50", "open30", "c20o20"}
    assert {run.record.status for run in runs} == {"done"}
    assert {run.record.code.git_dirty for run in runs} == {False}


def test_tables_follow_from_records(runs: list[Run], tmp_path: Path) -> None:
    write_tables(runs, tmp_path)
    made = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*")}
    shipped = (path for path in (REFERENCE / "tables").rglob("*.*"))
    assert made == {path.relative_to(REFERENCE): path.read_text(encoding="utf-8") for path in shipped}


@pytest.mark.parametrize(("path", "made"), [(PAGE, page), (README, readme)])
def test_pages_follow_from_records(path: Path, made: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert made(text) == text, "run: python -m tests.docs.reference_page"
