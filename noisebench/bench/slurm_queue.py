"""What Slurm says of noisebench's jobs, and which job a run was submitted as; nothing here imports torch."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from noisebench.config import Settings
from noisebench.errors import UserError

JOB_FILE = "slurm.json"
JOB_NAME = "noisebench"


class SubmittedJob(Settings):
    """The job a run was submitted as, kept in its folder."""

    id: str
    submitted: str
    log: Path

    @classmethod
    def read(cls, folder: Path) -> SubmittedJob | None:
        """The one of a run's folder; None where there is none."""
        try:
            return cls.model_validate_json((folder / JOB_FILE).read_bytes())
        except (OSError, ValidationError):
            return None


@dataclass(frozen=True)
class QueuedJob:
    """A job as Slurm sees it.

    Attributes:
        state: PENDING, RUNNING, ...
        host: Where it runs; empty while it waits.
        reason: Why it waits.
    """

    state: str
    host: str
    reason: str

    def __str__(self) -> str:
        return f"{self.state} on {self.host}" if self.host else f"{self.state}: {self.reason}"


class NoAnswerError(UserError):
    """Slurm is there, but does not tell its queue."""


def queue() -> dict[str, QueuedJob]:
    """Every job of noisebench in Slurm's queue, by number; none where there is no Slurm.

    Raises:
        NoAnswerError: There is one, but it does not answer.
    """
    command = ["squeue", "--noheader", "--name", JOB_NAME, "--format", "%i|%T|%N|%r"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except OSError:
        return {}
    except subprocess.SubprocessError as error:
        said = " ".join(str(getattr(error, "stderr", None) or error).split())
        raise NoAnswerError(f"Slurm does not tell its queue: {said} (try again in a minute)") from error
    rows = [line.split("|", 3) for line in told.splitlines()]
    return {number: QueuedJob(state, host, reason) for number, state, host, reason in rows}
