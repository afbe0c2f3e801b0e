"""The local launcher's order and budget, with cells whose processes are played by the test."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from noisebench.bench import run
from noisebench.bench.cell import Cell, run_folder
from noisebench.bench.launch import Children, Ended
from noisebench.bench.layout import Layout
from noisebench.bench.local import Budget, LocalLauncher
from noisebench.bench.lock import hold
from noisebench.bench.run import declare
from noisebench.exit_codes import ExitCode
from tests.bench.records import done_record
from tests.bench.test_changes import INPUTS

GIB = 1 << 30


class Processes:
    """Plays the processes of cells: each meets the others that run at the same time, then ends as told."""

    def __init__(self, endings: dict[int, int]) -> None:
        self.endings = endings
        self.most, self._running, self._lock = 0, 0, threading.Lock()
        self._pause = threading.Event()

    def __call__(self, folder: Path, layout: Layout, children: Children, **_: Any) -> Ended:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._pause.wait(0.1)
        with self._lock:
            self._running -= 1
        cell = Cell.read(folder)
        code = self.endings.get(cell.record.seed, 0)
        if code == 0:
            cell.record.model_copy(update={"status": "done"}).write(folder)
        return Ended(code, peak_memory=GIB)


def cells(results: Path, number: int) -> list[Cell]:
    records = [done_record(status="planned", seed=seed, hash=f"{seed}" * 64) for seed in range(number)]
    return [Cell(folder=run_folder(results, record), inputs=INPUTS, record=record) for record in records]


@pytest.mark.parametrize(
    ("jobs", "memory", "most"),
    [(1, None, 1), (3, None, 3), (3, 2.5 * GIB, 2), (3, GIB // 2, 1), (1, 8 * GIB, 1)],
)
def test_no_more_cells_at_once_than_the_budget_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, memory: float | None, most: int
) -> None:
    played = Processes({})
    monkeypatch.setattr(run, "launch", played)
    planned = cells(tmp_path, 7)
    declare(planned)
    said: list[str] = []
    budget = Budget(jobs, int(memory) if memory else None)
    with Children() as children:
        outcome = LocalLauncher(Layout(), budget, said.append).run(planned, children)
    assert (outcome, played.most) == (ExitCode.DONE, most)
    assert sum("done in" in line for line in said) == 7
    assert {cell.stored().peak_memory for cell in planned} == {GIB}  # type: ignore[union-attr] # all are stored


def test_what_a_cell_comes_to_is_the_outcome_of_all_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "launch", Processes({0: -9, 1: 1, 2: 75}))
    planned = cells(tmp_path, 5)
    said: list[str] = []
    with Children() as children, hold(planned[3].folder):
        outcome = LocalLauncher(Layout(), Budget(), said.append).run(planned, children)
    assert outcome == ExitCode.FAILED
    told = "\n".join(said)
    assert "failed: its process was killed by signal 9, for want of memory perhaps; the same command goes on" in told
    assert "failed: its process ended with code 1" in told
    assert "stopped: the same command goes on from there" in told
    assert "under way elsewhere: process" in told
    assert "under way elsewhere: 1 of the runs" in told
    found = [cell.stored() for cell in planned]
    assert [record.status if record else None for record in found] == [
        "interrupted", "failed", "interrupted", None, "done",
    ]  # fmt: skip
