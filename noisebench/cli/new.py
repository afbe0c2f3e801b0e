"""``noisebench new``: the beginning of something of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from noisebench.cli.verbs import LOOKS, Verbs


class _Beginnings(Verbs):
    sections: ClassVar = {"Commands": {"method": "noisebench.cli.new:method"}}


app = typer.Typer(cls=_Beginnings, add_completion=False, help="Begin something of your own.", **LOOKS)


@app.callback()
def _new() -> None:
    """Makes a group of an app without commands of its own."""


def method(
    name: Annotated[str, typer.Argument(help="Of the method: lower-case letters, digits and _.")],
    package: Annotated[
        Path | None, typer.Option(help="New folder for a package of its own; default: into this checkout.")
    ] = None,
) -> None:
    """Write a method that works, and its test, to start from.

    Example: noisebench new method my_method
    """
    from noisebench.methods._skeleton import write_method, write_package

    written = write_method(name) if package is None else write_package(name, package)
    for path in written:
        typer.echo(f"wrote {path}")
    if package is not None:
        typer.echo(f"install it with: pip install -e {package}")
    typer.echo(f"test it with: pytest {written[-1]}; in a checkout also: pytest tests/conformance -k {name}")
