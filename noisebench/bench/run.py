"""Run one cell under its lock, and give its record whatever became of its processes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from noisebench.bench.cell import FAILURE_FILE, Cell
from noisebench.bench.hosts import First
from noisebench.bench.launch import Children, Ended, launch
from noisebench.bench.layout import Layout
from noisebench.bench.lock import LOCK_FILE, hold
from noisebench.bench.record import RunRecord
from noisebench.evaluation.result import headline
from noisebench.exit_codes import ExitCode
from noisebench.training import checkpoint


@dataclass(frozen=True)
class Attempt:
    """What an attempt at a cell came to.

    Attributes:
        record: The cell's record as it stands now.
        outcome: DONE, FAILED, or STOPPED where it was asked to stop.
    """

    record: RunRecord
    outcome: ExitCode

    def __str__(self) -> str:
        if self.outcome == ExitCode.DONE:
            return f"done in {sum(self.record.timings.values()):.0f} s  {accuracies(self.record)}"
        if self.outcome == ExitCode.STOPPED:
            return f"{self.record.reason}: the same command goes on from there"
        resumable = "; the same command goes on from there" if self.record.status == "interrupted" else ""
        return f"failed: {self.record.reason}{resumable}"


def declare(cells: Iterable[Cell]) -> None:
    """Leave a record of every cell that has none, so that it is known what is planned."""
    for cell in cells:
        if cell.stored() is None:
            cell.record.write(cell.folder)


def run_cell(
    cell: Cell, layout: Layout, children: Children, *, output: Path | None = None, first: First | None = None
) -> Attempt:
    """Run a cell, in processes of its own, unless it is done by now.

    Args:
        cell: What to run.
        layout: How many processes, and where.
        children: Where the processes are counted among.
        output: The file that gets what they print; None for this terminal.
        first: Tells the other hosts, where there are any.

    Raises:
        RunIsHeld: Somebody else runs it at this moment.
    """
    with hold(cell.folder) as lock:
        if (finished := cell.finished()) is not None:
            return Attempt(finished, ExitCode.DONE)
        _start_anew_unless_resumable(cell)
        cell.write()
        name = first.announce(cell.folder) if first else ""
        ended = launch(cell.folder, layout, children, lock=lock, name=name, output=output)
        return _settle(cell, ended, asked_to_stop=children.stopping)


def accuracies(record: RunRecord) -> str:
    """The accuracy on each test set, or what else its protocol puts first, on a line."""
    return "  ".join(f"{name} {headline(metrics)}" for name, metrics in record.metrics.items())


def _start_anew_unless_resumable(cell: Cell) -> None:
    """Clear away what a failed run left, unless it left checkpoints; one that diverged has removed its own."""
    stored = cell.stored()
    if stored is None or (stored.status == "failed" and not checkpoint.checkpoints(cell.folder)):
        for path in cell.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK_FILE:
                path.unlink()
        cell.record.write(cell.folder)
    (cell.folder / FAILURE_FILE).unlink(missing_ok=True)


def _settle(cell: Cell, ended: Ended, *, asked_to_stop: bool) -> Attempt:
    """Bring the record up to what the processes left, and how they ended."""
    record = cell.stored() or cell.record
    if record.status == "done":
        return Attempt(_changed(cell, record, peak_memory=ended.peak_memory), ExitCode.DONE)
    if (number := _signal_behind(ended.code)) and not asked_to_stop:
        # What the others say of it does not matter: they fail for want of the one that was killed.
        reason = f"its process was killed by signal {number}"
        reason += ", for want of memory perhaps" if number == signal.SIGKILL else ""
        return Attempt(_changed(cell, record, status="interrupted", reason=reason), ExitCode.FAILED)
    if record.status == "interrupted":
        lost = ended.code == ExitCode.FAILED and not asked_to_stop
        return Attempt(record, ExitCode.FAILED if lost else ExitCode.STOPPED)
    if asked_to_stop or ended.code == ExitCode.STOPPED:
        return Attempt(_changed(cell, record, status="interrupted", reason="stopped"), ExitCode.STOPPED)
    if record.status == "failed":
        return Attempt(record, ExitCode.FAILED)
    failure = cell.folder / FAILURE_FILE
    told = failure.read_text(encoding="utf-8") if failure.is_file() else f"its process ended with code {ended.code}"
    return Attempt(_changed(cell, record, status="failed", reason=told), ExitCode.FAILED)


def _signal_behind(code: int) -> int:
    """The signal that ended a process, by its exit code or by that of a shell; 0 where none did."""
    return -code if code < 0 else max(0, code - 128)


def _changed(cell: Cell, record: RunRecord, **changes: object) -> RunRecord:
    changed = record.model_copy(update=changes)
    changed.write(cell.folder)
    return changed
