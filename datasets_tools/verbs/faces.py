"""``noisebench data faces``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Seed


def command(
    out: Annotated[Path, typer.Argument(help="New folder for the data set.")],
    identities: Annotated[int, typer.Option(min=2, help="Identities of the training set.")] = 240,
    images: Annotated[int, typer.Option(min=2, help="Images an identity.")] = 24,
    seed: Seed = 0,
    pairs: Annotated[int, typer.Option(min=20, help="Verification pairs, a multiple of 20.")] = 3000,
    image_size: Annotated[int, typer.Option(min=32, help="Side of the images in pixels.")] = 112,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
) -> None:
    """Make synthetic faces: a training set, an outlier set and a verification set of other identities.

    The bytes do not depend on --workers; stopped, the same command goes on.

    Example: noisebench data faces data/faces --identities 240 --images 24
    """
    from datasets_tools.synthetic import make_faces

    make_faces(
        out, identities=identities, images=images, seed=seed, pairs=pairs, image_size=image_size, workers=workers
    )
    typer.echo(f"wrote {out}")
