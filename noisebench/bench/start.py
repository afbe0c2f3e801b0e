"""From a request to its outcome: plan, declare, and hand the cells to a launcher."""

from __future__ import annotations

from collections.abc import Callable

from noisebench.bench import launchers, slurm
from noisebench.bench.cell import Cell
from noisebench.bench.changes import changed_runs
from noisebench.bench.hosts import First, follow, is_first, lead
from noisebench.bench.launch import Children
from noisebench.bench.layout import Layout
from noisebench.bench.local import Budget, LocalLauncher
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.bench.run import declare
from noisebench.bench.where import Where
from noisebench.exit_codes import ExitCode

Say = Callable[[str], None]


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
    executor = slurm.executor_of(layout, options, request.results / "slurm") if where.launcher == "slurm" else None
    cells = plan(request, say)
    for line in changed_runs(cells):
        say(line)
    if executor is not None:
        declare(cells)
        slurm.submit(cells, layout, executor, say)
        return cells, slurm.wait_for(cells, say) if where.wait else ExitCode.DONE
    if where.launcher not in launchers.OWN:
        declare(cells)
        return cells, launchers.create(where.launcher).launch(cells, layout, say)
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
