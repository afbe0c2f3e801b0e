"""One bench a run: a lock on a file in the run's folder, which the kernel releases when its last holder dies.

The processes that train inherit the open file, so a run stays locked for as long as any of them works on it, and no
longer: nothing is ever left behind that would have to be cleared. On a network file system the server keeps the lock
(NFS 4 does), and releases it some time after a host has died.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from noisebench.config import Settings

LOCK_FILE = "lock"
_TRIES, _PAUSE = 5, 0.05  # `holder` takes the lock for an instant


class Holder(Settings):
    """Who works on a run.

    Attributes:
        host: The machine it runs on.
        pid: Its process number there.
        job: The number of its Slurm job, if it is one.
        since: UTC, ISO 8601.
    """

    host: str
    pid: int
    job: str | None
    since: str

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"


class RunIsHeld(Exception):  # noqa: N818 - not an error: another bench is at it
    """Somebody else works on the run."""

    def __init__(self, holder: Holder | None) -> None:
        self.holder = holder
        super().__init__(f"under way elsewhere: {holder or 'another process'}")


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[int]:
    """Hold a run; gives the open file's descriptor, for a child to hold it with.

    Raises:
        RunIsHeld: Somebody else does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _lock(descriptor):
            raise RunIsHeld(_read(folder))
        holder = Holder(
            host=socket.gethostname(),
            pid=os.getpid(),
            job=os.environ.get("SLURM_JOB_ID"),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.model_dump_json().encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether anybody works on a run at this moment."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(folder: Path) -> Holder | None:
    """Who works on a run at this moment; None where nobody does."""
    return _read(folder) if is_held(folder) else None


def _lock(descriptor: int) -> bool:
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE)
    return False


def _read(folder: Path) -> Holder | None:
    try:
        return Holder.model_validate_json((folder / LOCK_FILE).read_bytes())
    except (OSError, ValidationError):  # it is just being written, or is gone already
        return None
