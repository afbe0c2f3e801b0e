"""``noisebench list``: the names that other verbs take."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Annotated

import typer

from noisebench.cli.completion import complete_list
from noisebench.cli.options import AsJson


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="methods, noise, suites, backbones, testsets, ...; default: what can be listed.",
            autocompletion=complete_list,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List methods, noise recipes, suites, backbones or test sets, with a line on each.

    Example: noisebench list noise
    """
    from noisebench.catalogue import LISTS, descriptions

    listed = {name: title for name, (title, _) in LISTS.items()} if kind is None else descriptions(kind)
    typer.echo(json.dumps(listed, indent=2) if as_json else _aligned(listed))


def _aligned(listed: dict[str, str]) -> str:
    """Two columns; on a terminal the second is broken into its width."""
    width = max(map(len, listed), default=0) + 2
    room = max(20, shutil.get_terminal_size().columns - width) if sys.stdout.isatty() else 1 << 16
    lines = []
    for name, text in listed.items():
        first, *others = textwrap.wrap(text, room) or [""]
        lines += [f"{name:<{width}}{first}".rstrip(), *(" " * width + line for line in others)]
    return "\n".join(lines)
