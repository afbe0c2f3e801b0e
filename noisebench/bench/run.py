"""Run the cells of a bench that are not done yet; one that fails does not stop the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from noisebench.bench.cell import FAILURE_FILE, Cell
from noisebench.bench.launch import launch
from noisebench.bench.record import RunRecord
from noisebench.exit_codes import ExitCode

Say = Callable[[str], None]


def run(cells: Sequence[Cell], *, num_processes: int, say: Say) -> ExitCode:
    """Run every cell that has no finished record yet.

    Args:
        cells: The plan.
        num_processes: Processes a cell is trained with.
        say: Where a line of text about each cell goes.

    Returns:
        DONE, FAILED if any cell failed, or STOPPED as soon as one was stopped.
    """
    outcome = ExitCode.DONE
    for number, cell in enumerate(cells, start=1):
        title = f"[{number}/{len(cells)}] {cell.record.noise}: {cell.label}"
        if (finished := cell.finished()) is not None:
            say(f"{title}  (cached)  {_accuracies(finished)}")
            continue
        say(title)
        record = _run_cell(cell, num_processes)
        if record.status == "interrupted":
            say(f"  {record.reason}: the same command goes on from there")
            return ExitCode.STOPPED
        if record.status == "failed":
            say(f"  failed: {record.reason}")
            outcome = ExitCode.FAILED
        else:
            say(f"  done in {sum(record.timings.values()):.0f} s  {_accuracies(record)}")
    return outcome


def _run_cell(cell: Cell, num_processes: int) -> RunRecord:
    """Run one cell in processes of its own and give its record, whatever became of them."""
    _start_anew_unless_resumable(cell)
    cell.write()
    code = launch(cell.folder, num_processes=num_processes)
    record = cell.stored() or cell.record
    if record.status in ("done", "interrupted"):
        return record
    if code == ExitCode.STOPPED:
        return _closed(cell, record, "interrupted", "stopped")
    failure = cell.folder / FAILURE_FILE
    if failure.is_file():
        return _closed(cell, record, "failed", failure.read_text(encoding="utf-8"))
    if record.status == "failed":
        return record
    killed = f"was killed by signal {-code}, for want of memory perhaps" if code < 0 else f"ended with exit code {code}"
    return _closed(cell, record, "failed", f"its process {killed}")


def _start_anew_unless_resumable(cell: Cell) -> None:
    """A failed run leaves nothing to go on from: a second try must not meet the checkpoint of a diverged one."""
    stored = cell.stored() if cell.folder.is_dir() else None
    if stored is None or stored.status == "failed":
        shutil.rmtree(cell.folder, ignore_errors=True)
    cell.folder.mkdir(parents=True, exist_ok=True)
    (cell.folder / FAILURE_FILE).unlink(missing_ok=True)


def _closed(cell: Cell, record: RunRecord, status: str, reason: str) -> RunRecord:
    closed = record.model_copy(update={"status": status, "reason": reason})
    closed.write(cell.folder)
    return closed


def _accuracies(record: RunRecord) -> str:
    return "  ".join(f"{name} {100 * metrics.accuracy:.2f} %" for name, metrics in record.metrics.items())
