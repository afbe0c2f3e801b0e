"""``noisebench describe``: what a method computes, in the words of its file."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from noisebench.cli.completion import complete
from noisebench.cli.options import AsJson


def describe(
    method: Annotated[
        str | None, typer.Argument(help="A method; default: all of them.", autocompletion=complete("methods"))
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print formula, defaults, variants and options of a method as Markdown.

    Example: noisebench describe arcface
    """
    from noisebench import methods
    from noisebench.methods._page import all_pages, content, page

    if as_json:
        found = content(method) if method is not None else [content(name) for name in sorted(methods.usable())]
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(all_pages() if method is None else page(method), nl=False)
