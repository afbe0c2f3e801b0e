"""``noisebench list``: the names that other verbs take."""

from __future__ import annotations

from typing import Annotated

import typer

from noisebench.errors import UserError, did_you_mean


def list_(kind: Annotated[str, typer.Argument(help="methods, noise, suites or backbones.")]) -> None:
    """List methods, noise recipes, suites or backbones. Example: noisebench list noise."""
    from noisebench import backbones, config, methods

    listed: dict[str, dict[str, str]] = {
        "methods": dict.fromkeys((*methods.names(), *config.recipe_names("methods")), ""),
        "noise": dict.fromkeys(config.recipe_names("noise"), ""),
        "suites": dict.fromkeys(config.recipe_names("suites"), ""),
        "backbones": backbones.descriptions(),
    }
    if kind not in listed:
        raise UserError(f"nothing is listed as '{kind}': {did_you_mean(kind, listed)}")
    width = max(map(len, listed[kind]), default=0)
    for name, description in sorted(listed[kind].items()):
        typer.echo(f"{name:<{width}}  {description}".rstrip())
