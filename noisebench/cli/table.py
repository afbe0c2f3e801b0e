"""``noisebench table``: the comparison of all runs made so far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from noisebench.cli.options import AsJson, Results
from noisebench.errors import UserError


def table(
    results: Results = Path("results"),
    by: Annotated[
        str | None, typer.Option(help="Columns: testset, or noise (with what each method loses); default: both.")
    ] = None,
    test_set: Annotated[str | None, typer.Option(help="Tell of this test set alone.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Print markdown, csv, latex or json.")] = "markdown",
    published: Annotated[bool, typer.Option(help="Set published numbers below ours where some fit.")] = True,
    baseline: Annotated[str | None, typer.Option(help="Test against this method instead of the best.")] = None,
    interval: Annotated[
        Literal["t", "bootstrap"] | None,
        typer.Option(help="Beside each mean: its 95 % interval, by this; default: the standard deviation."),
    ] = None,
    allow_mixed: Annotated[bool, typer.Option(help="Average runs even where code or manifest differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the comparison tables of all runs, and write them as Markdown, CSV, LaTeX and JSON.

    Example: noisebench table --by noise --test-set lfw --format latex
    """
    from noisebench.analysis.outcome import TableChoice, write_tables
    from noisebench.bench.store import all_runs

    choice = TableChoice(
        by=by,
        test_set=test_set,
        format="json" if as_json else format_,
        published=published,
        baseline=baseline,
        allow_mixed=allow_mixed,
        interval=interval,
    )
    refusals: list[UserError] = []
    typer.echo(write_tables(all_runs(results), results, choice, refusals.append))
    if refusals:
        raise refusals[0]
