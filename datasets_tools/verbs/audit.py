"""``noisebench data audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import (
    AsJson,
    Centres,
    Exclude,
    Outliers,
    open_outliers,
    read_exclusion,
)


def command(
    file: Annotated[Path, typer.Argument(help="Manifest.")],
    data: Annotated[Path | None, typer.Option(help="The data set it was made for.")] = None,
    outliers: Outliers = None,
    exclude: Exclude = None,
    centres: Centres = None,
    known: Annotated[Path | None, typer.Option(help="List that known noise was imported from.")] = None,
    names: Annotated[Path | None, typer.Option(help="List of keys and names, if --known has names.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a manifest: rates, confusion of classes, and with --data that its recipe gives just this manifest again.

    Leaves with exit code 1 on any difference. Example: noisebench data audit closed30.parquet --data data/faces
    """
    import json

    from datasets_tools.audit import audit
    from datasets_tools.known_list import KnownList
    from datasets_tools.neighbours import find_neighbours
    from noisebench.formats.data_source import open_data
    from noisebench.noise.manifest import Manifest

    base = open_data(data) if data is not None else None
    manifest = Manifest.read(file)
    origin = manifest.origin
    neighbours = find_neighbours(origin.recipe, centres, manifest.true_label, origin.num_classes)
    report = audit(
        manifest,
        base,
        open_outliers(data, outliers),
        neighbours=neighbours,
        exclusion=read_exclusion(exclude),
        known=KnownList.read(known, names) if known is not None else None,
    )
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else str(report))
    raise typer.Exit(0 if report.passed else 1)
