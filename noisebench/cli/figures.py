"""``noisebench figures``: the figures of all runs made so far."""

from __future__ import annotations

from pathlib import Path

import typer

from noisebench.cli.options import Results


def figures(results: Results = Path("results")) -> None:
    """Draw angle distributions and accuracies of all runs, as PNG and SVG. Example: noisebench figures."""
    from noisebench.analysis.outcome import write_figures
    from noisebench.bench.store import all_runs

    for path in write_figures(all_runs(results), results):
        typer.echo(path)
