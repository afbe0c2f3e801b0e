"""``noisebench bench``: train and compare methods under a noise."""

from __future__ import annotations

import os
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
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a RecordIO set or of images, or several with commas; default: the suite's."),
    ] = None,
    accept_data: Annotated[
        bool, typer.Option("--accept-data", help="Go on with data that are not those the suite expects.")
    ] = False,
    outliers: Annotated[
        Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")
    ] = None,
    results: Results = Path("results"),
    nproc: Annotated[int, typer.Option(min=1, help="Processes a run is trained with, on each host.")] = 1,
    nnodes: Annotated[int, typer.Option(min=1, help="Hosts a run is trained on; the same command on each.")] = 1,
    rendezvous: Annotated[
        str | None, typer.Option(help="HOST:PORT where several hosts meet: the first host, a free port.")
    ] = None,
    restarts: Annotated[
        int, typer.Option(min=0, help="How often a run's processes are started again after one has died.")
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0.01, help="Minutes processes and hosts wait for each other.")] = 10.0,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints within an epoch; each epoch ends with one anyway.")
    ] = 5.0,
    launcher: Annotated[str, typer.Option(help="local, or slurm for a Slurm job a run.")] = "local",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once on this host.")] = 1,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores they share; default: all.")] = None,
    memory: Annotated[
        float | None, typer.Option(min=0.01, help="GiB of memory they share, by what finished runs took.")
    ] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of sbatch, such as partition=gpu or gpus=1.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the Slurm jobs.")] = False,
    reader: Annotated[str, typer.Option(help="How records are read: native or mxnet.")] = "native",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take: runs, steps, hours, memory, disk; run nothing.")
    ] = False,
) -> None:
    """Train every method under a noise, print the comparison table, write tables and figures.

    Finished runs are not run again. Example: noisebench bench --noise closed30 --methods arcface,cosface --seeds 0,1
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # read when torch is loaded: its stack traces help no user

    from noisebench.analysis.outcome import write_outcome
    from noisebench.bench.layout import Layout
    from noisebench.bench.plan import Request
    from noisebench.bench.start import Where, start
    from noisebench.bench.store import Run

    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device '{device}' is unknown: choose auto, cpu or cuda")
    request = Request(
        suite=suite,
        noise=names(noise, "--noise"),
        methods=names(methods, "--methods") if methods else None,
        seeds=numbers(seeds, "--seeds") if seeds else None,
        data=data,
        outliers=outliers,
        accept_data=accept_data,
        results=results,
        reader=reader,
        device=device,
        num_processes=nproc * nnodes,
        timeout_minutes=timeout,
        checkpoint_minutes=checkpoint_minutes,
    )
    where = Where(
        layout=Layout(processes=nproc, hosts=nnodes, rendezvous=rendezvous, restarts=restarts, timeout_minutes=timeout),
        launcher=launcher,
        jobs=jobs,
        cores=cores,
        memory=memory,
        slurm=tuple(slurm or ()),
        wait=wait,
    )
    if dry_run:
        from noisebench.bench.dry_run import dry_run as estimate

        typer.echo(estimate(request, where, say=typer.echo))
        return
    cells, outcome = start(request, where, say=typer.echo)
    if not any(cell.finished() for cell in cells):  # there is nothing to compare yet
        raise typer.Exit(outcome)
    runs = [Run(cell.folder, record) for cell in cells if (record := cell.stored()) is not None]
    refusals: list[UserError] = []
    typer.echo("\n" + write_outcome(runs, results, refusals.append))
    if refusals:
        raise refusals[0]
    raise typer.Exit(outcome)
