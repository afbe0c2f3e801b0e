"""``noisebench status``: how far every run is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Results
from noisebench.cli.terminal import coloured

COLOURS = {"running": "cyan", "interrupted": "yellow", "failed": "red", "done": "green"}


def status(
    results: Results = Path("results"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON, as in docs/status.schema.json.")] = False,
) -> None:
    """Show every run that is planned, running, interrupted, failed or done, with host, progress and time left.

    Example: noisebench status --results results
    """
    from pydantic import TypeAdapter

    from noisebench.bench.status import RunStatus, all_statuses, as_table

    statuses = all_statuses(results)
    if json:
        typer.echo(TypeAdapter(list[RunStatus]).dump_json(statuses, indent=2).decode())
        return
    for kind, line in as_table(statuses):
        typer.echo(coloured(line, COLOURS.get(kind or "")))
