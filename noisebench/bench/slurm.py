"""Run a bench's cells as Slurm jobs, one a cell, submitted through submitit.

A job that Slurm preempts, or whose time is up, is sent SIGTERM: its cell saves and leaves, and the job puts itself back
into the queue, to go on from there.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebench.bench.cell import Cell
from noisebench.bench.launch import Children
from noisebench.bench.layout import Layout, cores
from noisebench.bench.lock import RunIsHeld, holder
from noisebench.bench.run import Attempt, accuracies, run_cell
from noisebench.bench.slurm_queue import JOB_FILE, JOB_NAME, NoAnswerError, QueuedJob, SubmittedJob, queue
from noisebench.errors import UserError
from noisebench.exit_codes import ExitCode
from noisebench.files import write_text

if TYPE_CHECKING:
    import submitit

SBATCH_NAMES = {"gpus": "gpus-per-node", "cpus": "cpus-per-task"}
DEFAULT_TIME = "24:00:00"  # a run that takes longer puts itself back into the queue
_LOCK_PATIENCE, _LOCK_PAUSE = 600, 5  # seconds: a dead host's lock outlives it for a while on a network file system
_POLL = 5  # seconds between two looks at the queue


class CellJob:
    """What a job does; submitit keeps it in a file until then."""

    def __init__(self, cell: Cell, layout: Layout) -> None:
        self._cell, self._layout = cell, layout

    def __call__(self) -> None:
        """Run the cell; leave with its exit code, or back into the queue where it was asked to stop."""
        layout = self._layout.model_copy(update={"threads": max(1, cores() // self._layout.processes)})
        with Children() as children:
            attempt = self._patiently(layout, children)
        sys.stdout.write(f"{attempt}\n")
        number = os.environ["SLURM_JOB_ID"]
        if attempt.outcome == ExitCode.STOPPED and _is_running(number):
            signal.raise_signal(signal.SIGTERM)  # to submitit, which calls `checkpoint` and requeues the job
        sys.exit(attempt.outcome)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What the requeued job does: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)

    def _patiently(self, layout: Layout, children: Children) -> Attempt:
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                return run_cell(self._cell, layout, children)
            except RunIsHeld as held:
                if time.monotonic() > deadline:
                    raise
                sys.stdout.write(f"{held}; waiting\n")
                time.sleep(_LOCK_PAUSE)


_GONE = QueuedJob("GONE", "", "no longer in the queue")


def _is_running(number: str) -> bool:
    """Whether a job that is stopped should go back into the queue; where Slurm does not say otherwise, it should."""
    try:
        return queue().get(number, _GONE).state == "RUNNING"
    except NoAnswerError:
        return True


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """What ``--slurm KEY=VALUE`` says, by the name of sbatch's option.

    Raises:
        UserError: One is no KEY=VALUE.
    """
    options = {"time": DEFAULT_TIME}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise UserError(f"--slurm '{text}' is no KEY=VALUE: write for example --slurm partition=gpu --slurm gpus=1")
        options[SBATCH_NAMES.get(key, key.replace("_", "-"))] = value
    return options


def submit(cells: Sequence[Cell], layout: Layout, executor: submitit.SlurmExecutor, say: Callable[[str], None]) -> None:
    """Submit a job for every cell that is neither done nor under way nor in the queue, and say a line of each.

    Raises:
        UserError: Slurm refuses.
    """
    queued = queue()
    for number, cell in enumerate(cells, start=1):
        title = f"[{number}/{len(cells)}] {cell.record.noise}: {cell.label}"
        job = SubmittedJob.read(cell.folder)
        if (finished := cell.finished()) is not None:
            say(f"{title}  (cached)  {accuracies(finished)}")
        elif job is not None and job.id in queued:
            say(f"{title}  Slurm job {job.id} ({queued[job.id]})")
        elif (at_work := holder(cell.folder)) is not None:
            say(f"{title}  under way elsewhere: {at_work}")
        else:
            say(f"{title}  submitted as Slurm job {_submit(executor, cell, layout)}")


def wait_for(cells: Sequence[Cell], say: Callable[[str], None]) -> ExitCode:
    """Wait until no cell is in the queue any more.

    Returns:
        DONE, FAILED if a cell failed, or STOPPED if one left the queue unfinished.
    """
    left = {cell.folder: cell for cell in cells if cell.finished() is None}
    outcome = ExitCode.DONE
    while left:
        try:
            queued = queue()
        except NoAnswerError as error:  # its controller is often too busy for a while
            say(f"{error}; waiting")
            time.sleep(_POLL)
            continue
        for folder, cell in tuple(left.items()):
            job = SubmittedJob.read(folder)
            if job is not None and job.id in queued and queued[job.id].state != "COMPLETED":
                continue
            del left[folder]
            record = cell.stored() or cell.record
            by_status = {"done": ExitCode.DONE, "failed": ExitCode.FAILED}
            attempt = Attempt(record, by_status.get(record.status, ExitCode.STOPPED))
            say(f"{record.noise}: {cell.label}  {attempt}")
            if attempt.outcome != ExitCode.DONE and outcome != ExitCode.FAILED:
                outcome = attempt.outcome
        if left:
            time.sleep(_POLL)
    return outcome


def executor_of(layout: Layout, options: dict[str, str], logs: Path) -> submitit.SlurmExecutor:
    """What submits jobs.

    Args:
        layout: How many processes train a cell, all on one host.
        options: For sbatch.
        logs: Folder for what the jobs print, shared with the hosts they will run on.

    Raises:
        UserError: Slurm or submitit is missing.
    """
    if shutil.which("sbatch") is None:
        raise UserError("--launcher slurm: this machine has no sbatch; run it where Slurm jobs are submitted")
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "TERM"  # the one signal on which a cell saves; submitit reads it on import
    try:
        import submitit
    except ImportError as error:
        raise UserError("--launcher slurm needs submitit: pip install 'noisebench[slurm]'") from error
    options = {"cpus-per-task": str(layout.processes), **options}
    executor = submitit.SlurmExecutor(logs.resolve() / "%j", max_num_timeout=1 << 30)
    executor.update_parameters(
        job_name=JOB_NAME,
        setup=["export SUBMITIT_PREEMPT_SIGNAL=TERM"],
        srun_args=["--cpus-per-task", options["cpus-per-task"]],  # srun does not take it from sbatch
        additional_parameters={"requeue": True, **options},
    )
    return executor


def _submit(executor: submitit.SlurmExecutor, cell: Cell, layout: Layout) -> str:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):  # where submitit repeats what sbatch says
            job: submitit.Job[Any] = executor.submit(CellJob(cell, layout))
    except (FailedJobError, FailedSubmissionError) as error:
        lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in told.getvalue().splitlines()]
        raise UserError(f"Slurm refuses the job: {'; '.join(lines) or error}") from error
    note = SubmittedJob(
        id=job.job_id, submitted=datetime.now(UTC).isoformat(timespec="seconds"), log=Path(job.paths.stderr)
    )
    write_text(cell.folder / JOB_FILE, note.model_dump_json(indent=2) + "\n")
    return job.job_id
