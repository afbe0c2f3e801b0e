"""Where and how the runs of a bench are trained; it is checked before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from noisebench.bench import launchers
from noisebench.bench.layout import Layout, cores
from noisebench.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where and how a bench's cells are run.

    Attributes:
        layout: Processes of a cell; its threads are set here.
        launcher: "local" for this host (and those that meet it), "slurm" for jobs, or that of an installed package; see
            `noisebench.bench.launchers`.
        jobs: Cells under way at once on this host.
        cores: Cores they share; None for all.
        memory: GiB of memory they share; None for no limit.
        slurm: Options for sbatch, as KEY=VALUE.
        wait: Whether to wait for the Slurm jobs.
    """

    layout: Layout
    launcher: str = "local"
    jobs: int = 1
    cores: int | None = None
    memory: float | None = None
    slurm: tuple[str, ...] = ()
    wait: bool = False

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            UserError: Some option is at fault.
        """
        if self.launcher not in launchers.OWN:
            launchers.create(self.launcher)
        if self.launcher != "slurm" and (self.slurm or self.wait):
            raise UserError("--slurm and --wait are for --launcher slurm")
        if self.launcher != "local" and (self.jobs > 1 or self.cores or self.memory):
            raise UserError(
                "--jobs, --cores and --memory are for --launcher local; a Slurm job has --slurm cpus=, mem="
            )
        if self.layout.hosts > 1:
            self.layout.endpoint  # noqa: B018 - told before anything is read
            if self.launcher != "local" or self.jobs > 1:
                raise UserError(
                    "--nnodes takes all its hosts for one run: it goes with neither --jobs "
                    "nor another launcher than local"
                )
        elif self.layout.rendezvous:
            raise UserError("--rendezvous is where several hosts meet: say how many with --nnodes")

    @property
    def threads(self) -> int:
        """Threads a process: an equal share of the cores, the same for every cell, however many are under way."""
        return max(1, (self.cores or cores()) // (self.jobs * self.layout.processes))
