"""``noisebench data gallery``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import Data, Outliers, open_outliers


def command(
    file: Annotated[Path, typer.Argument(help="Manifest.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Picture to write, a .png file.")],
    outliers: Outliers = None,
    labels: Annotated[int, typer.Option(min=1, max=100, help="How many labels to show, a row each.")] = 6,
    columns: Annotated[int, typer.Option(min=4, max=100, help="How many images of each.")] = 10,
) -> None:
    """Draw a picture of a noisy set: images that bear one label, clean and noisy ones, with the truth below.

    Example: noisebench data gallery c20o20.parquet --data data/faces --out c20o20.png
    """
    from datasets_tools.gallery import gallery, write_gallery
    from noisebench.formats.data_source import open_data
    from noisebench.noise.manifest import Manifest

    figure = gallery(Manifest.read(file), open_data(data), open_outliers(data, outliers), labels, columns)
    write_gallery(figure, out)
    typer.echo(f"wrote {out}")
