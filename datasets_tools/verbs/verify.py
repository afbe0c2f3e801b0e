"""``noisebench data verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import AsJson


def command(
    path: Annotated[Path, typer.Argument(help="Folder of a data set, or a verification file (.bin).")],
    write_sums: Annotated[
        bool, typer.Option("--write-sums", help="If all is well, write train.sums: a checksum for each record.")
    ] = False,
    repair: Annotated[
        Path | None, typer.Option(help="Write a new set without the broken records there; the old one stays.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one for each processor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a data set, or a verification file, and print every fault with its byte: nothing is changed.

    Index against records, header, identity ranges, labels, checksums if there are any, and that every image decodes to
    the declared size. Leaves with exit code 1 on any fault. Stopped, it goes on where it was when it is called again.

    Example: noisebench data verify data/faces --write-sums
    """
    from datasets_tools.verify import verify

    report = verify(path, workers=workers, write_sums=write_sums, repair=repair)
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else str(report))
    raise typer.Exit(0 if report.passed else 1)
