"""``noisebench embed``: the embeddings of a folder of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from noisebench.cli.options import Backbone, ChannelOrder, Checkpoint, Device


def embed(
    folder: Annotated[Path, typer.Argument(help="Folder of aligned crops of faces, JPEG or PNG, however deep.")],
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="File to write, .npy or .parquet: name, norm and embedding an image.")],
    backbone: Backbone = None,
    channels: ChannelOrder = None,
    flip: Annotated[
        Literal["none", "sum", "concatenation"], typer.Option(help="What becomes of each image's mirror image.")
    ] = "none",
    device: Device = "cpu",
) -> None:
    """Write the raw embeddings of all faces in a folder, with their names and norms.

    The images are faces as the backbone was trained with: cut out and aligned, usually 112x112 pixels. Of an image of
    another size the largest central part of the right shape is resized, as in an evaluation.

    Stopped, the same command goes on where it was: embeddings are kept in OUT.part until OUT is written.

    Example: noisebench embed faces --checkpoint model.pt --out faces.parquet
    """
    from noisebench.evaluation.embed import Embedder, find_device
    from noisebench.evaluation.image_files import write_embeddings
    from noisebench.evaluation.kept import kept_until_done
    from noisebench.models import fingerprint, open_model

    model = open_model(checkpoint, backbone, channels)
    where = find_device(device)
    with kept_until_done(out.with_name(f"{out.name}.part"), f"{fingerprint(checkpoint)} {model.name}") as kept:
        embedder = Embedder(
            model.backbone.to(where), device=where, preprocessing=model.preprocessing, visible=True, kept=kept
        )
        count = write_embeddings(embedder, folder, out, flip)
    typer.echo(f"wrote {out}: {count} embeddings")
