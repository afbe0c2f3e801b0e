"""``noisebench table``: the comparison of all runs made so far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Results


def table(
    results: Results = Path("results"),
    allow_mixed: Annotated[bool, typer.Option(help="Average runs even where code or manifest differ.")] = False,
) -> None:
    """Print the comparison tables of all runs, and write them as Markdown and CSV. Example: noisebench table."""
    from noisebench.analysis.outcome import write_tables
    from noisebench.bench.store import all_runs

    typer.echo(write_tables(all_runs(results), results, allow_mixed=allow_mixed))
