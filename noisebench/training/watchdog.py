"""A watch over the processes of a run: where one hangs or is lost, the others say which and where, and leave.

While a process gets on, nothing is written. Once one has made no step for half the time allowed, a thread of it leaves
a note of where it stands in ``watchdog/`` of the run's folder; where the time is up, the notes of all tell who is the
one behind. A process that has left no note is dead or stopped.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self, get_args

from noisebench.errors import UserError
from noisebench.exit_codes import ExitCode
from noisebench.files import write_text
from noisebench.training.distributed import PeerLost, Process, is_lost_connection

FOLDER = "watchdog"
SECONDS_FOR_NOTES = 2.0
StepPhase = Literal["start", "data", "forward", "head", "backward", "update", "check", "log", "checkpoint"]
LastPhase = Literal["model", "embed", "gather"]
Phase = StepPhase | LastPhase
LAST_PHASES: tuple[LastPhase, ...] = get_args(LastPhase)
PHASES: tuple[Phase, ...] = (*get_args(StepPhase), *LAST_PHASES)  # in the order in which a process goes through them


class Place(NamedTuple):
    """Where a process stands; the smaller is behind."""

    step: int
    phase: int

    def __str__(self) -> str:
        phase = PHASES[self.phase]
        return f"'{phase}' after the training" if phase in LAST_PHASES else f"'{phase}' of step {self.step + 1}"


class Watchdog:
    """Watches this process, and ends it when it does not get on.

    A context, which raises `PeerLost` in the place of an error that came from the connection to another process. It
    watches from the first phase entered, until it is to rest.

    Args:
        run_folder: The run's folder, the same for all processes.
        process: This one.
        timeout_seconds: How long a phase of a step may last. Time in which the process itself is stopped, as by Ctrl-Z,
            does not count.
        tell: Is told why the run ends, on one of the processes.
    """

    def __init__(self, run_folder: Path, process: Process, timeout_seconds: float, tell: Callable[[str], None]) -> None:
        self.folder = run_folder / FOLDER
        self.process, self.timeout, self.tell = process, timeout_seconds, tell
        self._place, self._is_resting = Place(0, 0), True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._note.unlink(missing_ok=True)  # of an earlier sitting
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()
        if is_lost_connection(error):
            reason = self._explain(error)
            raise PeerLost(reason, is_told_here=self._is_speaker) from error

    def enter(self, phase: Phase, step: int) -> None:
        """Note that this process gets on: it begins a phase of a step, counted from 0 over the whole run.

        After the training, what is counted are batches of test images.
        """
        self._place, self._is_resting = Place(step, PHASES.index(phase)), False

    def rest(self) -> None:
        """Let this process be, until it enters the next phase: no other waits for it, however long it takes."""
        self._is_resting = True

    @property
    def _is_speaker(self) -> bool:
        """Whether this process is the first of those that are alive, so that it may speak for them."""
        return self.process.rank == min(self._notes(), default=0)

    def _watch(self) -> None:
        tick = min(1.0, self.timeout / 10)
        seen, still, noted = self._place, 0.0, False
        while not self._stopped.wait(tick):
            if self._is_resting or seen is not self._place:
                seen, still = self._place, 0.0
                if noted:
                    self._note.unlink(missing_ok=True)
                    noted = False
                continue
            still += tick
            if still >= self.timeout / 2 and not noted:
                self._leave_note()
                noted = True
            if still >= self.timeout:
                self._end()

    def _end(self) -> None:
        reason = self._diagnosis()
        if self._is_speaker:
            self.tell(reason)
        os._exit(ExitCode.FAILED)  # the main thread cannot be reached: it waits inside of a library

    def _explain(self, error: BaseException | None) -> str:
        """Who is lost: processes that notice it leave notes, so one that leaves none is."""
        self._leave_note()
        time.sleep(SECONDS_FOR_NOTES)
        silent = self._silent()
        who = f"process {_listed(silent)} was lost" if silent else "the connection between processes broke"
        told = next(iter(str(error).strip().splitlines()), "")
        return f"{who}; process {self.process.rank} noticed it in {self._place}" + ("" if silent else f": {told}")

    def _diagnosis(self) -> str:
        silent, notes = self._silent(), self._notes()
        seconds = f"no progress for {self.timeout:.0f} s"
        if silent:
            return (
                f"process {_listed(silent)} shows no sign of life; the others wait for it in {self._place}: {seconds}"
            )
        last = min(notes.values(), default=self._place)
        behind = [rank for rank, place in notes.items() if place == last]
        if len(behind) == self.process.world_size > 1:
            return f"all processes wait for each other in {last}: {seconds}. Is the network between them cut?"
        return f"process {_listed(behind)} hangs in {last}: {seconds}"

    @property
    def _note(self) -> Path:
        return self.folder / f"rank={self.process.rank}"

    def _leave_note(self) -> None:
        place = self._place
        try:
            write_text(self._note, f"{place.step} {place.phase}")
        except UserError as error:
            sys.stderr.write(f"noisebench: {error}\n")

    def _silent(self) -> list[int]:
        return sorted(set(range(self.process.world_size)) - self._notes().keys() - {self.process.rank})

    def _notes(self) -> dict[int, Place]:
        found = {}
        for file in self.folder.glob("rank=*"):
            try:
                step, phase = file.read_text(encoding="ascii").split()
            except (OSError, ValueError):  # taken away just now
                continue
            found[int(file.name.removeprefix("rank="))] = Place(int(step), int(phase))
        return {rank: place for rank, place in sorted(found.items()) if rank < self.process.world_size}


def _listed(ranks: list[int]) -> str:
    return ", ".join(map(str, ranks))
