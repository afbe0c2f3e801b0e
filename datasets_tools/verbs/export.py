"""``noisebench data export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from datasets_tools.verbs._options import Outliers, open_outlier_records


def command(
    source: Annotated[Path, typer.Argument(help="Manifest, or a set's folder to export as it is.")],
    form: Annotated[
        Literal["images", "boundaryface", "lst", "csv"],
        typer.Option(help="images: an image folder; boundaryface: its lists; lst: im2rec's list; csv: the manifest."),
    ],
    out: Annotated[Path, typer.Option(help="New folder, or file for lst and csv.")],
    data: Annotated[Path | None, typer.Option(help="The data set the manifest was made for: images needs it.")] = None,
    outliers: Outliers = None,
) -> None:
    """Write a noisy set, or a set as it is, in the forms other training code reads. Image files keep their bytes.

    Lists name files of the set's own image folder: <label>/<key>.jpg, and outliers/<label>/<key>.jpg.
    Example: noisebench data export closed30.parquet --form images --data data/faces --out closed30
    """
    from datasets_tools import export
    from datasets_tools.make_noise import make_manifest
    from noisebench.errors import UserError
    from noisebench.formats.face_set import FaceSet
    from noisebench.noise.manifest import Manifest
    from noisebench.noise.recipe import load_recipe

    folder = source if source.is_dir() else data
    base = FaceSet.open(folder) if folder is not None else None
    if base is not None and source.is_dir():
        manifest = make_manifest(load_recipe("clean"), base, None, seed=0)
    else:
        manifest = Manifest.read(source)
    if form == "images":
        if base is None:
            raise UserError("an image folder is made of the data set's images: name it with --data")
        export.export_images(manifest, base, open_outlier_records(folder, outliers), out)
    else:
        writers = {"boundaryface": export.export_boundaryface, "lst": export.export_lst, "csv": export.export_csv}
        writers[form](manifest, out)
    typer.echo(f"wrote {out}: {len(manifest)} images of {manifest.num_train_classes} classes")
