"""``noisebench figures``: the figures of all runs made so far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Results


def figures(
    results: Results = Path("results"),
    faces: Annotated[bool, typer.Option(help="Also galleries of images, and maps of their embeddings.")] = True,
) -> None:
    """Draw every figure of all runs, as PNG and SVG. Example: noisebench figures --no-faces."""
    from noisebench.analysis.drawings import write_all_figures
    from noisebench.bench.store import all_runs

    def tell(problem: str) -> None:
        typer.echo(f"noisebench: warning: {problem}", err=True)

    for path in write_all_figures(all_runs(results), results, tell, with_faces=faces):
        typer.echo(path)
