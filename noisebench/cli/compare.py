"""``noisebench compare``: two runs, or two methods, side by side; or all methods and their order in print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.completion import complete_compared
from noisebench.cli.options import AsJson, Results
from noisebench.errors import FileError, UserError


def compare(
    first: Annotated[
        str | None,
        typer.Argument(
            metavar="A", help="Folder of a run or of a method's runs, or a method.", autocompletion=complete_compared
        ),
    ] = None,
    second: Annotated[
        str | None,
        typer.Argument(metavar="B", help="What to compare it with, likewise.", autocompletion=complete_compared),
    ] = None,
    results: Results = Path("results"),
    published: Annotated[
        bool, typer.Option("--published", help="Without A and B: is the order of the methods the published one?")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what differs between two runs or methods, and whether their results can be told apart.

    Example: noisebench compare arcface boundaryf1
    """
    if published:
        if first is not None:
            raise UserError(f"--published compares all methods with finished runs: leave out '{first}'")
        _with_print(results, as_json)
        return
    if first is None or second is None:
        raise UserError("give two runs or methods to compare, or --published")
    from noisebench.analysis.comparison import compare as compare_runs
    from noisebench.analysis.comparison import comparison_content, comparison_text, find
    from noisebench.analysis.plain import to_json

    made = compare_runs(find(first, results), find(second, results))
    if as_json:
        typer.echo(to_json(comparison_content((first, second), made)))
    else:
        typer.echo(comparison_text((first, second), made), nl=False)


def _with_print(results: Path, as_json: bool) -> None:
    from noisebench.analysis.plain import to_json
    from noisebench.analysis.published import FILE, find_published, read_published
    from noisebench.analysis.published_order import order_content, order_text, published_order
    from noisebench.analysis.run_groups import noise_order
    from noisebench.bench.store import all_runs

    path = find_published(results)
    if path is None:
        raise FileError(results / FILE, "there are no published numbers", "reinstall noisebench, which brings them")
    runs = sorted(all_runs(results), key=noise_order)
    pairs = published_order([run.record for run in runs], read_published(path))
    if as_json:
        typer.echo(to_json(order_content(pairs)))
    else:
        typer.echo(order_text(pairs), nl=False)
