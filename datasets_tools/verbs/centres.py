"""``noisebench data centres``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Data


def command(
    data: Data,
    checkpoint: Annotated[Path, typer.Option(help="A run's folder, its model.pt, or a state dict.")],
    out: Annotated[Path, typer.Option(help="File to write, .npy: a row an identity.")],
    backbone: Annotated[str | None, typer.Option(help="Backbone of a bare state dict, such as iresnet50.")] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, or cuda.")] = "cpu",
) -> None:
    """Embed a data set's images and write each identity's centre: for hard flips, and for overlap.

    Example: noisebench data centres --data data/faces --checkpoint model.pt --out centres.npy
    """
    import os

    from datasets_tools.centres import class_centres, write_centres
    from noisebench.formats.face_set import FaceSet
    from noisebench.training.model_file import MODEL_FILE, load_model

    faces = FaceSet.open(data)
    model = load_model(checkpoint / MODEL_FILE if checkpoint.is_dir() else checkpoint, backbone)
    threads = os.cpu_count() or 1
    centres = class_centres(model.backbone, faces, model.image_size, device=device, threads=threads)
    write_centres(out, centres)
    typer.echo(f"wrote {out}: centres of {len(centres)} identities, {centres.shape[1]} numbers each")
