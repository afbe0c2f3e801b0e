"""``noisebench data diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import AsJson


def command(
    a: Annotated[Path, typer.Argument(help="Manifest A.")],
    b: Annotated[Path, typer.Argument(help="Manifest B.")],
    as_json: AsJson = False,
) -> None:
    """Compare two manifests: what they say of themselves, their columns, which images they make noisy, what is nested.

    Leaves with exit code 1 where a column differs. Example: noisebench data diff closed20.parquet closed30.parquet
    """
    import json

    from datasets_tools.diff import diff
    from noisebench.noise.manifest import Manifest

    found = diff(Manifest.read(a), Manifest.read(b))
    typer.echo(json.dumps(found.to_json(), indent=1) if as_json else str(found))
    raise typer.Exit(0 if found.same_columns else 1)
