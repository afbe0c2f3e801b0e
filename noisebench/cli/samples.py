"""``noisebench samples``: the samples of a run that are worth looking at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import RunFolder


def samples(
    run: RunFolder,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only those the method is wrong about in the end.")] = False,
    fault: Annotated[
        str | None, typer.Option(help="Only those wrong in this way: corrected, fitted or missed.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only clean, closed or open ones.")] = None,
    epoch: Annotated[int | None, typer.Option(min=0, help="Counted from 0; default: the last.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, angles in radians.")] = False,
    out: Annotated[Path | None, typer.Option(help="New folder to copy their images into.")] = None,
    data: Annotated[Path | None, typer.Option(help="Training set of --out; default: where the run read it.")] = None,
    outliers: Annotated[Path | None, typer.Option(help="Outlier set of --out, likewise.")] = None,
) -> None:
    """List the hardest samples of a run, or with --wrong those it corrected falsely, fitted to a wrong label or missed.

    Example: noisebench samples RUN --wrong --top 50 --kind closed --out wrong
    """
    from noisebench.analysis.sample_ranking import rank_samples, ranking_text, write_images
    from noisebench.analysis.whole_run import open_run

    opened = open_run(run)
    ranked = rank_samples(opened, wrong=wrong, kind=kind, fault=fault, epoch=epoch, top=top)
    if out is not None:
        write_images(opened, ranked, out, data, outliers)
    if as_json:
        typer.echo(json.dumps(json.loads(ranked.to_json(orient="records")), indent=2))
        return
    typer.echo(ranking_text(ranked) if len(ranked) else "No sample of the run is such.")
    if out is not None:
        typer.echo(f"wrote {len(ranked)} images to {out}")
