"""Arguments that several verbs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datasets_tools.exclusion import Exclusion
    from noisebench.formats.face_set import FaceSet

Data = Annotated[Path, typer.Option(help="Data set's folder: train.rec, train.idx, property.")]
Outliers = Annotated[Path | None, typer.Option(help="Outlier set; default: 'outliers' in the data's folder.")]
Exclude = Annotated[
    Path | None, typer.Option(help="Identities of the outlier set not to use: their labels, one a line.")
]
Centres = Annotated[
    Path | None, typer.Option(help="Class centres or embeddings of the data's images, .npy: whom hard flips confuse.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]


def open_outliers(data: Path | None, outliers: Path | None) -> FaceSet | None:
    """The outlier set that is named, else the one in the data's folder, if there is one."""
    from noisebench.formats.face_set import FaceSet

    if outliers is None and data is not None and (data / "outliers").is_dir():
        outliers = data / "outliers"
    return FaceSet.open(outliers) if outliers is not None else None


def read_exclusion(exclude: Path | None) -> Exclusion | None:
    """The list of identities not to use, if one is named."""
    from datasets_tools.exclusion import Exclusion

    return Exclusion.read(exclude) if exclude is not None else None
