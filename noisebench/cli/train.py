"""``noisebench train``: one method, one noise, one seed."""

from __future__ import annotations

from typing import Annotated

import typer

from noisebench.cli import bench
from noisebench.cli.bench_options import Processes, SetUp
from noisebench.cli.completion import complete
from noisebench.cli.groups import with_groups
from noisebench.cli.options import DryRun


@with_groups
def train(
    method: Annotated[
        str, typer.Argument(help="Method, see 'noisebench list methods'.", autocompletion=complete("methods"))
    ],
    *,
    noise: Annotated[
        str, typer.Option(help="Noise recipe, or a manifest (.parquet).", autocompletion=complete("noise"))
    ] = "closed30",
    seed: Annotated[int, typer.Option(min=0, help="Training seed.")] = 0,
    setup: SetUp,
    processes: Processes,
    dry_run: DryRun = False,
) -> None:
    """Train one method once: a bench of one run, which a larger bench finds done.

    Example: noisebench train arcface --noise closed30 --seed 0 --set method.margin=0.3
    """
    request = setup.request(processes, noise=[noise], methods=[method], seeds=[seed])
    bench.run(request, processes.where(), dry_run=dry_run)
