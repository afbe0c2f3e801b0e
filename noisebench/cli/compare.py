"""``noisebench compare``: two runs, or two methods, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Results


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="Folder of a run or of a method's runs, or a method.")],
    second: Annotated[str, typer.Argument(metavar="B", help="What to compare it with, likewise.")],
    results: Results = Path("results"),
) -> None:
    """Say what differs between two runs or methods, and whether their results can be told apart.

    Example: noisebench compare arcface boundaryf1
    """
    from noisebench.analysis.comparison import compare as compare_runs
    from noisebench.analysis.comparison import comparison_text, find

    made = compare_runs(find(first, results), find(second, results))
    typer.echo(comparison_text((first, second), made), nl=False)
