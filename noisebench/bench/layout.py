"""How the processes of a run are laid over hosts and cores."""

from __future__ import annotations

import os

from pydantic import Field

from noisebench.config import Settings
from noisebench.errors import UserError


class Layout(Settings):
    """How many processes train a run, where, and with how many threads each."""

    processes: int = Field(default=1, ge=1, description="Processes a host.")
    hosts: int = Field(default=1, ge=1)
    rendezvous: str | None = Field(default=None, description="HOST:PORT where several hosts find each other.")
    restarts: int = Field(default=0, ge=0, description="How often processes are started again after one has died.")
    threads: int = Field(default=1, ge=1, description="Threads a process; OMP_NUM_THREADS overrides it.")
    timeout_minutes: float = Field(default=10.0, gt=0, description="How long processes and hosts wait for each other.")

    @property
    def world_size(self) -> int:
        """All processes of a run."""
        return self.processes * self.hosts

    @property
    def meeting_seconds(self) -> int:
        """How long hosts wait for each other to come: a minute at least, for loading torch may take so long."""
        return max(60, int(60 * self.timeout_minutes))

    @property
    def answer_seconds(self) -> int:
        """How long the first host may take to answer one that has met it."""
        return max(5, int(60 * self.timeout_minutes))

    @property
    def is_plain(self) -> bool:
        """Whether one process does, with nobody to watch over it."""
        return self.world_size == 1 and self.restarts == 0

    @property
    def endpoint(self) -> tuple[str, int]:
        """The rendezvous as host and port.

        Raises:
            UserError: It is missing, or no HOST:PORT.
        """
        host, _, port = (self.rendezvous or "").rpartition(":")
        if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
            raise UserError(
                f"--rendezvous '{self.rendezvous or ''}': {self.hosts} hosts meet at HOST:PORT, "
                "a free port of the first host; write for example --rendezvous node0:29500"
            )
        return host, int(port)


def cores() -> int:
    """Cores this process may use: those it is bound to, at most those its Slurm job was given."""
    bound = len(os.sched_getaffinity(0))
    return min(bound, int(os.environ.get("SLURM_CPUS_PER_TASK", bound)))
