"""``noisebench data materialize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Data, Outliers, open_outlier_records


def command(
    file: Annotated[Path, typer.Argument(help="Manifest.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="New folder for the noisy set.")],
    outliers: Outliers = None,
) -> None:
    """Write a noisy set as RecordIO that any training code reads: its labels, its images, JPEG bytes as they are.

    Stopped, the same command goes on from there.
    Example: noisebench data materialize closed30.parquet --data data/faces --out data/faces-closed30
    """
    from datasets_tools.materialize import different_sizes, materialize
    from noisebench.formats.face_set import FaceSet
    from noisebench.noise.manifest import Manifest

    manifest, base, others = Manifest.read(file), FaceSet.open(data), open_outlier_records(data, outliers)
    warning = different_sizes(manifest, base, others)
    if warning:
        typer.echo(f"warning: {warning}", err=True)
    materialize(manifest, base, others, out)
    typer.echo(f"wrote {out}: {len(manifest)} images of {manifest.num_train_classes} classes")
