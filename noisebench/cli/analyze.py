"""``noisebench analyze``: everything that a run's logs tell of the noise, as tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import RunFolder


def analyze(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables; RUN/analysis by default.")] = None,
    clean: Annotated[Path | None, typer.Option(help="A run on clean labels to compare class centres with.")] = None,
    data: Annotated[Path | None, typer.Option(help="The training set: also embed clean images, measure blur.")] = None,
    outliers: Annotated[Path | None, typer.Option(help="The outlier set, where the noise has one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Analyse a run: angles, detection of noise, corrections, memorisation, class centres; a CSV file each.

    Example: noisebench analyze results/runs/synth/closed30/boundaryface/seed0-...
    """
    from noisebench.analysis.run_summary import summary_text
    from noisebench.analysis.whole_run import FOLDER, Images, analyse, open_run
    from noisebench.errors import UserError

    if outliers is not None and data is None:
        raise UserError("--outliers goes with --data: name the training set, too")
    analysis = analyse(
        open_run(run),
        clean=None if clean is None else open_run(clean),
        images=None if data is None else Images(data, outliers),
    )
    folder = run / FOLDER if out is None else out
    analysis.write(folder)
    typer.echo(json.dumps(analysis.summary(), indent=2) if as_json else summary_text(analysis))
    if not as_json:
        typer.echo(f"wrote {len(analysis.tables)} tables and summary.json to {folder}")
