"""``noisebench data import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Image folder, .lst, RecordIO sets, .tar shards or .parquet tables."),
    ],
    out: Annotated[Path, typer.Option(help="New folder for the data set.")],
    form: Annotated[
        str | None, typer.Option("--format", help="folder, lst, rec, webdataset or parquet; default: by its look.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="HxW: resize images of other sizes; default: the first image's, others refused.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="JPEG quality of images that are encoded again.")
    ] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out undecodable images.")] = False,
    root: Annotated[Path | None, typer.Option(help="Folder of a .lst's paths; default: the list's own.")] = None,
    image_column: Annotated[str, typer.Option(help="Column of the images in Parquet.")] = "image",
    label_column: Annotated[str, typer.Option(help="Column of the labels in Parquet.")] = "label",
    name_column: Annotated[str, typer.Option(help="Column of the images' names in Parquet.")] = "name",
) -> None:
    """Make a RecordIO set of images from elsewhere, with names.parquet: what each record was called there.

    JPEGs of the right size are copied as they are. Example: noisebench data import photos/ --out data/photos
    """
    from datasets_tools.fitting import parse_size
    from datasets_tools.import_faces import import_faces
    from datasets_tools.importers._listing import Options

    options = Options(root, image_column, label_column, name_column)
    height_width = parse_size(size) if size is not None else None
    made = import_faces(
        sources, out, form=form, options=options, size=height_width, quality=quality, skip_broken=skip_broken
    )
    if made.num_left_out:
        typer.echo(f"left out {made.num_left_out} broken images: {out / 'left_out.txt'}")
    typer.echo(f"wrote {out}: {made.num_images} images of {made.num_identities} identities")
