"""The options of ``bench`` and ``train``: what is trained on what, and by which processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from noisebench.cli.completion import complete
from noisebench.cli.options import Results

if TYPE_CHECKING:  # they load NumPy
    from noisebench.bench.request import Request
    from noisebench.bench.where import Where


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """What methods, noise and seeds are tried on."""

    suite: Annotated[
        str,
        typer.Option(
            help="Suite: data, backbone and training (see 'noisebench list suites').", autocompletion=complete("suites")
        ),
    ] = "synth"
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another value than the suite's or the method's: training.epochs=3, backbone.name=mbf, head.scale=32, "
            "method.margin=0.3. Again for each.",
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a RecordIO set or of images, or several with commas; default: the suite's."),
    ] = None
    accept_data: Annotated[
        bool, typer.Option("--accept-data", help="Go on with data that are not those the suite expects.")
    ] = False
    outliers: Annotated[Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")] = None
    results: Results = Path("results")
    reader: Annotated[Literal["native", "mxnet"], typer.Option(help="How records are read.")] = "native"
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")] = "auto"

    def request(
        self,
        processes: Processes,
        *,
        noise: Sequence[str],
        methods: Sequence[str] | None,
        seeds: Sequence[int] | None,
    ) -> Request:
        """What is asked for.

        Raises:
            UserError: A name is unknown, or a value is at fault: as much of it as is told without torch, so at once.
        """
        from noisebench.bench.request import Request, check

        request = Request(
            suite=self.suite,
            overrides=tuple(self.overrides or ()),
            noise=tuple(noise),
            methods=tuple(methods) if methods else None,
            seeds=tuple(seeds) if seeds else None,
            data=self.data,
            outliers=self.outliers,
            accept_data=self.accept_data,
            results=self.results,
            reader=self.reader,
            device=self.device,
            num_processes=processes.nproc * processes.nnodes,
            timeout_minutes=processes.timeout,
            checkpoint_minutes=processes.checkpoint_minutes,
        )
        check(request)
        return request


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Which processes train a run, and where."""

    nproc: Annotated[int, typer.Option(min=1, help="Processes a run is trained with, on each host.")] = 1
    nnodes: Annotated[int, typer.Option(min=1, help="Hosts a run is trained on; the same command on each.")] = 1
    rendezvous: Annotated[
        str | None, typer.Option(help="HOST:PORT where several hosts meet: the first host, a free port.")
    ] = None
    restarts: Annotated[
        int, typer.Option(min=0, help="How often a run's processes are started again after one has died.")
    ] = 0
    timeout: Annotated[float, typer.Option(min=0.01, help="Minutes processes and hosts wait for each other.")] = 10.0
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints within an epoch; each epoch ends with one anyway.")
    ] = 5.0
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use on this host; default: all.")] = None
    launcher: Annotated[
        str,
        typer.Option(
            help="local, slurm for a Slurm job a run, or an installed package's (see 'noisebench list launchers').",
            autocompletion=complete("launchers"),
        ),
    ] = "local"
    slurm: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of sbatch, such as partition=gpu or gpus=1.")
    ] = None
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the Slurm jobs.")] = False

    def where(self, *, jobs: int = 1, memory: float | None = None) -> Where:
        """Where and how runs are trained, ``jobs`` at once within ``memory`` GiB.

        Raises:
            UserError: Some options do not go together.
        """
        from noisebench.bench.layout import Layout
        from noisebench.bench.where import Where

        layout = Layout(
            processes=self.nproc,
            hosts=self.nnodes,
            rendezvous=self.rendezvous,
            restarts=self.restarts,
            timeout_minutes=self.timeout,
        )
        where = Where(
            layout=layout,
            launcher=self.launcher,
            jobs=jobs,
            cores=self.cores,
            memory=memory,
            slurm=tuple(self.slurm or ()),
            wait=self.wait,
        )
        where.check()
        return where
