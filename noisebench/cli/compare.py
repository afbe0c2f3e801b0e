"""``noisebench compare``: two runs, or two methods, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.completion import complete_compared
from noisebench.cli.options import AsJson, Results


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="Folder of a run or of a method's runs, or a method.", autocompletion=complete_compared
        ),
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="What to compare it with, likewise.", autocompletion=complete_compared)
    ],
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say what differs between two runs or methods, and whether their results can be told apart.

    Example: noisebench compare arcface boundaryf1
    """
    from noisebench.analysis.comparison import compare as compare_runs
    from noisebench.analysis.comparison import comparison_content, comparison_text, find
    from noisebench.analysis.plain import to_json

    made = compare_runs(find(first, results), find(second, results))
    if as_json:
        typer.echo(to_json(comparison_content((first, second), made)))
    else:
        typer.echo(comparison_text((first, second), made), nl=False)
