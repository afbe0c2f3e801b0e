"""``noisebench show``: what a folder or a name stands for, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.completion import complete_run, complete_shown
from noisebench.cli.options import AsJson
from noisebench.errors import UserError, did_you_mean


def show(
    what: Annotated[
        str,
        typer.Argument(help="run or suite, or at once the folder of a run.", autocompletion=complete_run),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            help="The run's folder or the suite, where the first word says which.", autocompletion=complete_shown
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the record of a run, or the set-up of a suite beside the published one.

    Example: noisebench show suite ms1mv2-r50
    """
    if name is None:
        what, name = "run", what
    if what not in PAGES:
        raise UserError(f"nothing is shown as '{what}': {did_you_mean(what, PAGES)}")
    typer.echo(PAGES[what](name, as_json), nl=as_json)


def _run(folder: str, as_json: bool) -> str:
    from noisebench.analysis.run_page import run_content, run_page
    from noisebench.analysis.whole_run import open_run

    run = open_run(Path(folder))
    return json.dumps(run_content(run), indent=2) if as_json else run_page(run)


def _suite(name: str, as_json: bool) -> str:
    from noisebench.bench.suite_page import suite_content, suite_page

    return json.dumps(suite_content(name), indent=2) if as_json else suite_page(name)


PAGES: dict[str, Callable[[str, bool], str]] = {"run": _run, "suite": _suite}
"""What can be shown, and how it is turned into text or, if asked for, JSON."""
