"""``noisebench data centres``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Data


def command(
    data: Data,
    checkpoint: Annotated[Path, typer.Option(help="A run's folder, or a .pt, .ckpt, .onnx or .safetensors file.")],
    out: Annotated[Path, typer.Option(help="File to write, .npy: a row an identity.")],
    backbone: Annotated[str | None, typer.Option(help="Backbone of a state dict that does not tell it.")] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, or cuda.")] = "cpu",
) -> None:
    """Embed a data set's images and write each identity's centre: for hard flips, and for overlap.

    Stopped, the same command goes on.

    Example: noisebench data centres --data data/faces --checkpoint model.pt --out centres.npy
    """
    from datasets_tools.centres import write_centres
    from noisebench.formats.face_set import FaceSet

    centres = write_centres(out, checkpoint, FaceSet.open(data), backbone=backbone, device=device)
    typer.echo(f"wrote {out}: centres of {len(centres)} identities, {centres.shape[1]} numbers each")
