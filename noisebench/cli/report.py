"""``noisebench report``: everything a results folder holds, in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Results


def report(
    results: Results = Path("results"),
    out: Annotated[Path | None, typer.Option(help="The HTML file; RESULTS/report.html by default.")] = None,
    faces: Annotated[bool, typer.Option(help="Show images of faces; without, the report can be passed on.")] = True,
) -> None:
    """Write one HTML file that opens from disk: leaderboard, curves, galleries, provenance.

    Example: noisebench report --results results --out report.html
    """
    from noisebench.report.page import write_report

    path = results / "report.html" if out is None else out
    made = write_report(results, path, with_faces=faces)
    for problem in made.problems:
        typer.echo(f"noisebench: warning: {problem}", err=True)
    typer.echo(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
