"""``noisebench list``: the names that other verbs take."""

from __future__ import annotations

from typing import Annotated

import typer

from noisebench.errors import UserError, did_you_mean


def list_(kind: Annotated[str, typer.Argument(help="methods, noise, suites or backbones.")]) -> None:
    """List methods, noise recipes, suites or backbones. Example: noisebench list noise."""
    from noisebench import backbones, config

    kinds = {kind: (lambda kind=kind: config.recipe_names(kind)) for kind in ("methods", "noise", "suites")}
    kinds["backbones"] = backbones.names
    if kind not in kinds:
        raise UserError(f"unknown kind '{kind}': {did_you_mean(kind, kinds)}")
    for name in kinds[kind]():
        typer.echo(name)
