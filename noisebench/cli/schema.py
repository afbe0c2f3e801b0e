"""``noisebench schema``: what an editor needs to help with a recipe."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def schema(
    kind: Annotated[str, typer.Argument(help="noise, method or suite, for a recipe; result, for a run's result.json.")],
) -> None:
    """Print the JSON Schema of a recipe, by which an editor completes and checks it; see docs/recipes.md.

    Example: noisebench schema suite > suite.schema.json
    """
    from noisebench.recipe_schema import schema_of

    typer.echo(json.dumps(schema_of(kind), indent=2))
