"""Arguments that several verbs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datasets_tools.exclusion import Exclusion
    from noisebench.formats.face_set import FaceSet
    from noisebench.formats.training_set import TrainingSet

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


def open_outliers(data: Path | None, outliers: Path | None) -> TrainingSet | None:
    """The outlier set that is named, else the one in the data's folder, if there is one."""
    from noisebench.formats.data_source import open_data

    folder = _outlier_folder(data, outliers)
    return open_data(folder) if folder is not None else None


def open_outlier_records(data: Path | None, outliers: Path | None) -> FaceSet | None:
    """As `open_outliers`, of a set whose records are copied."""
    from noisebench.formats.face_set import FaceSet

    folder = _outlier_folder(data, outliers)
    return FaceSet.open(folder) if folder is not None else None


def _outlier_folder(data: Path | None, outliers: Path | None) -> Path | None:
    beside = data / "outliers" if data is not None else None
    return beside if outliers is None and beside is not None and beside.is_dir() else outliers


def read_exclusion(exclude: Path | None) -> Exclusion | None:
    """The list of identities not to use, if one is named."""
    from datasets_tools.exclusion import Exclusion

    return Exclusion.read(exclude) if exclude is not None else None
