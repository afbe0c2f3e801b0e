"""Arguments that several verbs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisebench.formats.face_set import FaceSet

Data = Annotated[Path, typer.Option(help="Data set's folder: train.rec, train.idx, property.")]
Outliers = Annotated[Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]


def open_outliers(data: Path | None, outliers: Path | None) -> FaceSet | None:
    """The outlier set that is named, else the one in the data's folder, if there is one."""
    from noisebench.formats.face_set import FaceSet

    if outliers is None and data is not None and (data / "outliers").is_dir():
        outliers = data / "outliers"
    return FaceSet.open(outliers) if outliers is not None else None
