"""``noisebench bench``: train and compare methods under a noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Results, names, numbers
from noisebench.errors import UserError


def bench(
    suite: Annotated[
        str, typer.Option(help="Suite: data, backbone and training (see 'noisebench list suites').")
    ] = "synth",
    noise: Annotated[
        str, typer.Option(help="Noise recipes with commas, or manifests made by 'noisebench data' (.parquet).")
    ] = "closed30",
    methods: Annotated[str | None, typer.Option(help="Methods with commas; default: those of the suite.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Training seeds with commas; default: those of the suite.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data set's folder; default: that of the suite.")] = None,
    outliers: Annotated[
        Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")
    ] = None,
    results: Results = Path("results"),
    nproc: Annotated[int, typer.Option(min=1, help="Processes a run is trained with.")] = 1,
    reader: Annotated[str, typer.Option(help="How records are read: native or mxnet.")] = "native",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train every method under a noise, print the comparison table, write tables and figures.

    Finished runs are not run again. Example: noisebench bench --noise closed30 --methods arcface,cosface --seeds 0,1
    """
    from noisebench.analysis.outcome import write_outcome
    from noisebench.bench.plan import Request, plan
    from noisebench.bench.run import run
    from noisebench.bench.store import Run

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device '{device}' is unknown: choose auto, cpu or cuda")
    cells = plan(
        Request(
            suite=suite,
            noise=names(noise, "--noise"),
            methods=names(methods, "--methods") if methods else None,
            seeds=numbers(seeds, "--seeds") if seeds else None,
            data=data,
            outliers=outliers,
            results=results,
            reader=reader,
            device=device,
            num_processes=nproc,
        ),
        say=typer.echo,
    )
    outcome = run(cells, num_processes=nproc, say=typer.echo)
    runs = [Run(cell.folder, record) for cell in cells if (record := cell.stored()) is not None]
    typer.echo("\n" + write_outcome(runs, results))
    raise typer.Exit(outcome)
