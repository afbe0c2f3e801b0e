"""``noisebench data faces``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Seed


def command(
    out: Annotated[Path, typer.Argument(help="New folder for the data set.")],
    identities: Annotated[int, typer.Option(min=2, help="Identities of the training set.")] = 240,
    images: Annotated[int, typer.Option(min=1, help="Images an identity.")] = 24,
    seed: Seed = 0,
) -> None:
    """Make synthetic faces: a training set, an outlier set and a verification set of other identities.

    Example: noisebench data faces data/faces --identities 240 --images 24
    """
    from datasets_tools.synthetic import make_faces

    make_faces(out, identities=identities, images=images, seed=seed)
    typer.echo(f"wrote {out}")
