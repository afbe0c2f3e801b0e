"""From a request to its outcome: plan, declare, and hand the cells to a launcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from noisebench.bench import slurm
from noisebench.bench.cell import Cell
from noisebench.bench.changes import changed_runs
from noisebench.bench.hosts import First, follow, is_first, lead
from noisebench.bench.launch import Children
from noisebench.bench.layout import Layout, cores
from noisebench.bench.local import Budget, LocalLauncher
from noisebench.bench.plan import Request, plan
from noisebench.bench.run import declare
from noisebench.errors import UserError, did_you_mean
from noisebench.exit_codes import ExitCode

Say = Callable[[str], None]
LauncherName = Literal["local", "slurm"]


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where and how a bench's cells are run.

    Attributes:
        layout: Processes of a cell; its threads are set here.
        launcher: "local" for this host (and those that meet it), "slurm" for jobs.
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
        launchers = get_args(LauncherName)
        if self.launcher not in launchers:
            raise UserError(f"--launcher '{self.launcher}' is unknown: {did_you_mean(self.launcher, launchers)}")
        if self.launcher != "slurm" and (self.slurm or self.wait):
            raise UserError("--slurm and --wait are for --launcher slurm")
        if self.launcher != "local" and (self.jobs > 1 or self.cores or self.memory):
            raise UserError(
                "--jobs, --cores and --memory are for --launcher local; a Slurm job has --slurm cpus=, mem="
            )
        if self.layout.hosts > 1:
            self.layout.endpoint  # noqa: B018 - told before anything is read
            if self.launcher == "slurm" or self.jobs > 1:
                raise UserError(
                    "--nnodes takes all its hosts for one run: it goes with neither --launcher slurm nor --jobs"
                )
        elif self.layout.rendezvous:
            raise UserError("--rendezvous is where several hosts meet: say how many with --nnodes")

    @property
    def threads(self) -> int:
        """Threads a process: an equal share of the cores, the same for every cell, however many are under way."""
        return max(1, (self.cores or cores()) // (self.jobs * self.layout.processes))


def start(request: Request, where: Where, say: Say) -> tuple[list[Cell], ExitCode]:
    """Run a bench.

    Args:
        request: What to bench.
        where: Where to run it.
        say: Is told what happens, a line at a time.

    Returns:
        The cells, and DONE, FAILED if one failed, or STOPPED. On a host that only joins in there are no cells.

    Raises:
        UserError: Something asked for is at fault; nothing has been run.
    """
    where.check()
    layout = where.layout.model_copy(update={"threads": where.threads})
    if layout.hosts > 1 and not is_first(layout):
        with Children() as children:
            return [], follow(layout, children, say)
    options = slurm.parse_options(where.slurm)
    cells = plan(request, say)
    for line in changed_runs(cells):
        say(line)
    if where.launcher == "slurm":
        return cells, _by_slurm(cells, layout, options, request.results, where.wait, say)
    if layout.hosts == 1:
        return cells, _on_this_host(cells, layout, where, say)
    with lead(layout) as first:
        first.outcome = _on_this_host(cells, layout, where, say, first)
        return cells, first.outcome


def _on_this_host(cells: list[Cell], layout: Layout, where: Where, say: Say, first: First | None = None) -> ExitCode:
    declare(cells)
    budget = Budget(where.jobs, int(where.memory * (1 << 30)) if where.memory else None)
    if where.jobs > 1:
        say(
            f"{where.jobs} runs at once, {layout.threads} threads a process; 'noisebench status' shows how far they are"
        )
    with Children() as children:
        return LocalLauncher(layout, budget, say, first).run(cells, children)


def _by_slurm(
    cells: list[Cell], layout: Layout, options: dict[str, str], results: Path, wait: bool, say: Say
) -> ExitCode:
    executor = slurm.executor_of(layout, options, results / "slurm")
    declare(cells)
    slurm.submit(cells, layout, executor, say)
    return slurm.wait_for(cells, say) if wait else ExitCode.DONE
