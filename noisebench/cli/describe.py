"""``noisebench describe``: what a method computes, in the words of its file."""

from __future__ import annotations

from typing import Annotated

import typer


def describe(method: Annotated[str | None, typer.Argument(help="A method; default: all of them.")] = None) -> None:
    """Print formula, defaults, variants and options of a method as Markdown. Example: noisebench describe arcface."""
    from noisebench.methods._page import all_pages, page

    typer.echo(all_pages() if method is None else page(method), nl=False)
