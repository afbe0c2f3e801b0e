"""``noisebench data noise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import (
    Centres,
    Data,
    Exclude,
    Outliers,
    Seed,
    open_outliers,
    read_exclusion,
)
from noisebench.cli.completion import complete


def command(
    recipe: Annotated[str, typer.Argument(help="Noise recipe, such as closed30.", autocompletion=complete("noise"))],
    data: Data,
    out: Annotated[Path, typer.Option(help="Manifest to write, a .parquet file.")],
    outliers: Outliers = None,
    exclude: Exclude = None,
    centres: Centres = None,
    seed: Seed = 0,
) -> None:
    """Write a noisy set's manifest: for each image the label to train with, and the truth.

    Example: noisebench data noise closed30 --data data/faces --out closed30.parquet
    """
    from datasets_tools.audit_report import AuditReport
    from datasets_tools.make_noise import make_manifest
    from datasets_tools.neighbours import find_neighbours
    from noisebench.formats.data_source import open_data
    from noisebench.noise.recipe import load_recipe

    resolved = load_recipe(recipe)
    base = open_data(data)
    others = open_outliers(data, outliers) if resolved.needs_outliers else None
    exclusion = read_exclusion(exclude) if resolved.needs_outliers else None
    neighbours = find_neighbours(resolved, centres, base.labels, base.num_classes)
    manifest = make_manifest(resolved, base, others, seed, exclusion=exclusion, neighbours=neighbours)
    manifest.write(out)
    typer.echo(f"{AuditReport(manifest, compared=(), differences=())}\n\nwrote {out}")
