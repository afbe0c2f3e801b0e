"""``noisebench similarity``: how alike a backbone finds some faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import Backbone, ChannelOrder, Checkpoint, Device


def similarity(
    images: Annotated[list[Path], typer.Argument(help="Aligned crops of faces, JPEG or PNG.")],
    checkpoint: Checkpoint,
    backbone: Backbone = None,
    channels: ChannelOrder = None,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the cosines between the embeddings of some faces, each with each.

    The images are faces as the backbone was trained with: cut out and aligned, usually 112x112 pixels. Of an image of
    another size the largest central part of the right shape is resized, as in an evaluation.

    Example: noisebench similarity a.jpg b.jpg c.jpg --checkpoint model.pt
    """
    from noisebench.evaluation import image_files
    from noisebench.evaluation.embed import Embedder, find_device
    from noisebench.models import open_model

    model = open_model(checkpoint, backbone, channels)
    where = find_device(device)
    embedder = Embedder(model.backbone.to(where), device=where, preprocessing=model.preprocessing)
    cosines = image_files.similarity(embedder, images)
    if as_json:
        typer.echo(json.dumps({"images": [str(image) for image in images], "cosines": cosines.tolist()}, indent=2))
    else:
        typer.echo(image_files.matrix_text(cosines, images))
