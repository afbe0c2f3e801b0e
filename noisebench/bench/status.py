"""How far every run of a results folder is, read from its files, its lock and Slurm's queue."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from noisebench.bench.lock import holder
from noisebench.bench.record import Status
from noisebench.bench.slurm_queue import JOB_FILE, NoAnswerError, QueuedJob, SubmittedJob, queue
from noisebench.bench.store import Run, all_runs
from noisebench.config import Settings
from noisebench.training.heartbeat import Heartbeat

_REASON_WIDTH = 100


class RunStatus(Settings):
    """How far a run is: an entry of what ``noisebench status --json`` prints."""

    suite: str
    noise: str
    method: str
    seed: int
    hash: str = Field(description="As in the run's record.")
    status: Status = Field(description="'running' only while a process holds the run's lock.")
    reason: str | None = Field(description="Why it failed or was interrupted, or waits in Slurm's queue.")
    progress: float | None = Field(description="Share of the steps that are done, 0..1; null before the first.")
    epoch: int | None = Field(description="The epoch under way, counted from 0.")
    epochs: int
    step: int | None = Field(description="Finished steps, over the whole run.")
    steps: int | None
    phase: str | None = Field(description="What a running one does: start, train, checkpoint, log, test.")
    images_per_second: float | None = Field(description="Of a running one, over all its processes.")
    eta_seconds: float | None = Field(description="Until a running one's training ends, at its speed so far.")
    host: str | None = Field(description="Where it runs, or ran last.")
    pid: int | None = Field(description="The process that holds a running one.")
    job: str | None = Field(description="Number of its last Slurm job.")
    job_state: str | None = Field(
        description="What Slurm says of that job: PENDING, RUNNING, ...; null once it is gone."
    )
    updated: str | None = Field(description="Its last sign of life, UTC, ISO 8601.")
    folder: str = Field(description="The run's folder.")


def all_statuses(results: Path) -> list[RunStatus]:
    """How far every run below a results folder is, ordered by path.

    Raises:
        FileError: There is none.
    """
    runs = all_runs(results)
    queued: dict[str, QueuedJob] = {}
    if any((run.folder / JOB_FILE).is_file() for run in runs):
        with contextlib.suppress(NoAnswerError):
            queued = queue()
    return [_status(run, queued) for run in runs]


def _status(run: Run, queued: dict[str, QueuedJob]) -> RunStatus:
    record = run.record
    at_work = None if record.status == "done" else holder(run.folder)
    beat = None if record.status == "planned" else Heartbeat.read(run.folder)
    job = SubmittedJob.read(run.folder)
    in_queue = queued.get(job.id) if job else None
    status, reason = record.status, record.reason
    if at_work is not None:
        status, reason = "running", None
    elif status == "running":
        status, reason = "interrupted", "its process is gone"
    if status in ("planned", "interrupted") and in_queue is not None:
        reason = f"{in_queue.state.lower()} in Slurm's queue" + (f": {in_queue.reason}" if in_queue.reason else "")
    running = beat if status == "running" else None
    left = (running.steps - running.step) * record.number("training.batch_size", 0) if running else 0
    return RunStatus(
        suite=record.suite,
        noise=record.noise,
        method=record.method,
        seed=record.seed,
        hash=record.hash,
        status=status,
        reason=reason,
        progress=1.0 if status == "done" else beat.step / beat.steps if beat and beat.steps else None,
        epoch=beat.epoch if beat else None,
        epochs=int(record.number("training.epochs", 0)),
        step=beat.step if beat else None,
        steps=beat.steps if beat else None,
        phase=(running.phase if running else "start") if status == "running" else None,
        images_per_second=running.images_per_second if running else None,
        eta_seconds=left / running.images_per_second if running and running.images_per_second else None,
        host=at_work.host if at_work else beat.host if beat else None,
        pid=at_work.pid if at_work else None,
        job=job.id if job else None,
        job_state=in_queue.state if in_queue else None,
        updated=beat.updated if beat else record.finished,
        folder=str(run.folder),
    )


def as_table(statuses: Sequence[RunStatus]) -> list[tuple[Status | None, str]]:
    """The lines of a table, each with the status it tells of; a heading and a summary tell of none."""
    rows: list[tuple[str, ...]] = [("suite", "noise", "method", "seed", "status", "progress", "left", "where", "why")]
    rows += [_row(status) for status in statuses]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    used = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    lines = ["  ".join(row[column].ljust(widths[column]) for column in used).rstrip() for row in rows]
    counts = Counter(status.status for status in statuses)
    order: tuple[Status, ...] = ("planned", "running", "interrupted", "failed", "done")
    summary = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    kinds: list[Status | None] = [None, *(status.status for status in statuses)]
    return [*zip(kinds, lines, strict=True), (None, f"{len(statuses)} runs: {summary}")]


def _row(status: RunStatus) -> tuple[str, ...]:
    progress = ""
    if status.progress is not None and status.status != "done":
        progress = f"{100 * status.progress:.0f} %, epoch {min((status.epoch or 0) + 1, status.epochs)}/{status.epochs}"
        progress += f", {status.phase}" if status.phase not in (None, "train") else ""
    where = status.host or ""
    where += f" pid {status.pid}" if status.pid else ""
    where += f" job {status.job}" if status.job and status.status != "done" else ""
    reason = " ".join((status.reason or "").split())
    reason = reason if len(reason) <= _REASON_WIDTH else reason[: _REASON_WIDTH - 1] + "…"
    left = "" if status.eta_seconds is None else duration(status.eta_seconds)
    return (
        *(status.suite, status.noise, status.method, str(status.seed), status.status),
        *(progress, left, where.strip(), reason),
    )


def duration(seconds: float) -> str:
    """A span of time in its two largest units: 45 s, 12 min, 3 h 05 min, 2 d 04 h."""
    minutes, hours, days = round(seconds / 60), round(seconds / 60) // 60, round(seconds / 3600) // 24
    if seconds < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {round(seconds / 3600) % 24:02d} h"
