"""``noisebench data overlap``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    a: Annotated[Path, typer.Argument(help="Base set: its folder, or its names.parquet.")],
    b: Annotated[Path, typer.Argument(help="Outlier set: its folder, or its names.parquet.")],
    embeddings: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Compare centres: .npy of embeddings in record order, or of class centres, for A and for B."),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Least cosine of two centres.")] = 0.7,
    out: Annotated[Path | None, typer.Option(help="List of B's shared labels to write, for noise --exclude.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all pairs as JSON.")] = False,
) -> None:
    """Find the identities that two sets share, by their names or by the similarity of their centres.

    Example: noisebench data overlap data/ms1m data/vgg2 --embeddings ms1m.npy vgg2.npy --out shared.txt
    """
    from datasets_tools import overlap

    first, second = overlap.Identities.open(a), overlap.Identities.open(b)
    if embeddings is None:
        shared = overlap.shared_by_name(first, second)
    else:
        shared = overlap.shared_by_centre(first, second, *embeddings, threshold)
    typer.echo(overlap.as_json(shared) if as_json else overlap.as_table(shared))
    if out is not None:
        overlap.write_exclusion(out, shared, a, b)
        typer.echo(f"wrote {out}", err=as_json)
