"""What a terminal is told and a file is not: colours."""

from __future__ import annotations

import os

import typer


def coloured(text: str, colour: str | None) -> str:
    """A text in a colour, for ``typer.echo``, which leaves colours out where there is no terminal.

    So does a variable ``NO_COLOR`` that is not empty, see no-color.org.
    """
    return text if colour is None or os.environ.get("NO_COLOR") else typer.style(text, fg=colour)
