"""``noisebench bench``: train and compare methods under a noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from noisebench.cli.bench_options import Processes, SetUp
from noisebench.cli.completion import complete
from noisebench.cli.groups import with_groups
from noisebench.cli.options import DryRun, names, numbers
from noisebench.errors import UserError

if TYPE_CHECKING:  # they load NumPy
    from noisebench.bench.request import Request
    from noisebench.bench.where import Where


@with_groups
def bench(
    *,
    noise: Annotated[
        str,
        typer.Option(
            help="Noise recipes with commas, or manifests made by 'noisebench data' (.parquet).",
            autocompletion=complete("noise", several=True),
        ),
    ] = "closed30",
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods with commas; default: those of the suite.", autocompletion=complete("methods", several=True)
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Training seeds with commas; default: those of the suite.")] = None,
    setup: SetUp,
    processes: Processes,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once on this host, which share its cores.")] = 1,
    memory: Annotated[
        float | None, typer.Option(min=0.01, help="GiB of memory they share, by what finished runs took.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Train every method under a noise, print the comparison table, write tables and figures.

    Finished runs are not run again.

    Example: noisebench bench --noise closed30 --methods arcface,cosface --seeds 0,1
    """
    request = setup.request(
        processes,
        noise=names(noise, "--noise"),
        methods=names(methods, "--methods") if methods else None,
        seeds=numbers(seeds, "--seeds") if seeds else None,
    )
    run(request, processes.where(jobs=jobs, memory=memory), dry_run=dry_run)


def run(request: Request, where: Where, *, dry_run: bool) -> None:
    """Run what is asked for and print what came of it; or only what it would take."""
    if dry_run:
        from noisebench.bench.dry_run import dry_run as estimate

        typer.echo(estimate(request, where, say=typer.echo))
        return
    from noisebench.analysis.outcome import write_outcome
    from noisebench.bench.start import start
    from noisebench.bench.store import Run

    cells, outcome = start(request, where, say=typer.echo)
    if not any(cell.finished() for cell in cells):  # there is nothing to compare yet
        raise typer.Exit(outcome)
    runs = [Run(cell.folder, record) for cell in cells if (record := cell.stored()) is not None]
    refusals: list[UserError] = []
    typer.echo("\n" + write_outcome(runs, request.results, refusals.append))
    if refusals:
        raise refusals[0]
    raise typer.Exit(outcome)
