"""``noisebench data testset``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Seed


def command(
    kind: Annotated[str, typer.Argument(help="pairs, ijb, ijbs, megaface or tinyface.")],
    out: Annotated[Path, typer.Argument(help="New folder for the test set.")],
    people: Annotated[int, typer.Option(min=4, help="People; twice as many others are distractors.")] = 8,
    images: Annotated[int, typer.Option(min=6, help="Photographs of each.")] = 6,
    seed: Seed = 0,
    image_size: Annotated[int, typer.Option(min=32, help="Side of the images in pixels; IJB's are larger.")] = 112,
) -> None:
    """Make a small test set of synthetic faces, laid out as IJB-C, IJB-S, MegaFace, TinyFace or LFW.

    To try an evaluation before the real set, which has to be asked for, is there.

    Example: noisebench data testset ijb ijb-tiny
    """
    from datasets_tools.test_sets import make_test_set

    make_test_set(kind, out, people=people, images=images, seed=seed, image_size=image_size)
    typer.echo(f"wrote {out}; evaluate with: noisebench eval --checkpoint RUN --testset {out}")
