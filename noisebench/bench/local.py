"""Run a bench's cells on this host, several at once within a budget; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from noisebench.bench.cell import Cell
from noisebench.bench.hosts import First
from noisebench.bench.launch import Children
from noisebench.bench.layout import Layout
from noisebench.bench.lock import RunIsHeld
from noisebench.bench.run import Attempt, accuracies, run_cell
from noisebench.exit_codes import ExitCode

Say = Callable[[str], None]
OUTPUT_FILE = "output.txt"


@dataclass(frozen=True)
class Budget:
    """How much of this host a bench may take.

    Attributes:
        jobs: Cells under way at once, at most.
        memory: Bytes of memory all of them may take together; None for no limit.
    """

    jobs: int = 1
    memory: int | None = None


@dataclass(frozen=True)
class _Task:
    title: str
    cell: Cell


class LocalLauncher:
    """Runs cells in order, as many at once as the budget allows.

    What a cell will take is known from those that are done: the largest memory of any of their processes, times the
    number of processes. So under a memory budget the first cell of all runs alone.
    """

    def __init__(self, layout: Layout, budget: Budget, say: Say, first: First | None = None) -> None:
        self._layout, self._budget, self._say, self._first = layout, budget, say, first
        self._largest: int | None = None  # bytes of memory a finished cell's processes took together
        self._outcome = ExitCode.DONE
        self._held: list[_Task] = []
        self._hosts_have_parted = False

    def run(self, cells: Sequence[Cell], children: Children) -> ExitCode:
        """Run every cell that is not done.

        Returns:
            DONE; FAILED if a cell failed; STOPPED if one was stopped, or is under way elsewhere.
        """
        waiting = []
        for number, cell in enumerate(cells, start=1):
            task = _Task(f"[{number}/{len(cells)}] {cell.record.noise}: {cell.label}", cell)
            if not self._is_cached(task):
                waiting.append(task)
        with ThreadPoolExecutor(self._budget.jobs) as pool:
            running: dict[Future[Attempt], _Task] = {}
            for task in waiting:
                while len(running) >= self._room():
                    self._settle_next(running)
                if children.stopping or self._hosts_have_parted:
                    break
                self._say(task.title)
                running[pool.submit(self._attempt, task.cell, children)] = task
            while running:
                self._settle_next(running)
        self._look_again_at_held()
        return ExitCode.STOPPED if children.stopping else self._outcome

    def _attempt(self, cell: Cell, children: Children) -> Attempt:
        output = cell.folder / OUTPUT_FILE if self._budget.jobs > 1 else None  # two bars on one line are none
        return run_cell(cell, self._layout, children, output=output, first=self._first)

    def _room(self) -> int:
        """How many cells may be under way at once, as far as is known by now."""
        if self._budget.memory is None or self._budget.jobs == 1:
            return self._budget.jobs
        if self._largest is None:
            return 1
        return max(1, min(self._budget.jobs, self._budget.memory // self._largest))

    def _settle_next(self, running: dict[Future[Attempt], _Task]) -> None:
        """Wait until a cell has ended, and tell what became of it."""
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            self._settle(running.pop(future), future)

    def _settle(self, task: _Task, future: Future[Attempt]) -> None:
        prefix = "  " if self._budget.jobs == 1 else f"{task.title}  "
        try:
            attempt = future.result()
        except RunIsHeld as held:
            self._say(f"{prefix}{held}")
            self._held.append(task)
            return
        self._say(f"{prefix}{attempt}")
        self._note_memory(task.cell)
        if self._first is not None and attempt.record.status == "interrupted":  # another host is gone, or asked to stop
            self._hosts_have_parted, self._outcome = True, ExitCode.STOPPED
        elif attempt.outcome != ExitCode.DONE and self._outcome != ExitCode.FAILED:
            self._outcome = attempt.outcome

    def _is_cached(self, task: _Task) -> bool:
        finished = task.cell.finished()
        if finished is not None:
            self._say(f"{task.title}  (cached)  {accuracies(finished)}")
            self._note_memory(task.cell)
        return finished is not None

    def _note_memory(self, cell: Cell) -> None:
        finished = cell.finished()
        if finished is not None and finished.peak_memory is not None:
            self._largest = max(self._largest or 0, finished.peak_memory * self._layout.processes)

    def _look_again_at_held(self) -> None:
        left = [task for task in self._held if not self._is_cached(task)]
        if left:
            self._say(
                f"under way elsewhere: {len(left)} of the runs ('noisebench status' shows how far). "
                "The same command takes them in when they are done"
            )
            if self._outcome == ExitCode.DONE:
                self._outcome = ExitCode.STOPPED
