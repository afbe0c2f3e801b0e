"""``noisebench data known``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from datasets_tools.verbs._options import Data


def command(
    list_: Annotated[Path, typer.Argument(metavar="LIST", help="CSV, TSV, Parquet or text: image, corrected label.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Manifest to write, a .parquet file.")],
    names: Annotated[Path | None, typer.Option(help="List of keys and names, if LIST has names.")] = None,
    others: Annotated[Literal["clean", "bad"], typer.Option(help="What the images are that it leaves out.")] = "clean",
) -> None:
    """Write a real noisy set's manifest from a list of known-bad or corrected labels, as ground truth.

    A line is an image's record key (with --names its name) and its corrected label: -1, noise or delete for an image
    that shows nobody of the set. A line without a label names a bad image, and with --others bad a clean one.

    Example: noisebench data known corrected.csv --data data/ms1m --out known.parquet
    """
    from datasets_tools.audit import audit
    from datasets_tools.known_list import KnownList
    from datasets_tools.known_noise import known_manifest
    from noisebench.formats.face_set import FaceSet

    base = FaceSet.open(data)
    listed = KnownList.read(list_, names)
    manifest = known_manifest(listed, base, others)
    manifest.write(out)
    typer.echo(f"{audit(manifest, base, known=listed)}\nwrote {out}")
