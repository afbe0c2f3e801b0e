"""``noisebench show``: what a folder or a name stands for, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from noisebench.errors import UserError, did_you_mean


def show(
    what: Annotated[str, typer.Argument(help="run or suite, or at once the folder of a run.")],
    name: Annotated[
        str | None, typer.Argument(help="The run's folder or the suite, where the first word says which.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; of a suite.")] = False,
) -> None:
    """Print the record of a run, or the set-up of a suite beside the published one.

    Example: noisebench show suite ms1mv2-r50
    """
    if name is None:
        what, name = "run", what
    if what not in PAGES:
        raise UserError(f"nothing is shown as '{what}': {did_you_mean(what, PAGES)}")
    if as_json and what != "suite":
        raise UserError("--json is for suites: the record of a run is result.json in its folder")
    if as_json:
        from noisebench.bench.suite_page import suite_content

        typer.echo(json.dumps(suite_content(name), indent=2))
    else:
        typer.echo(PAGES[what](name), nl=False)


def _run(folder: str) -> str:
    from noisebench.analysis.run_page import run_page
    from noisebench.analysis.whole_run import open_run

    return run_page(open_run(Path(folder)))


def _suite(name: str) -> str:
    from noisebench.bench.suite_page import suite_page

    return suite_page(name)


PAGES: dict[str, Callable[[str], str]] = {"run": _run, "suite": _suite}
"""What can be shown, and how it is turned into text."""
