"""``noisebench data info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets_tools.verbs._options import AsJson


def command(
    path: Annotated[Path, typer.Argument(help="A set's folder, a .rec, .idx or .bin file, or a manifest (.parquet).")],
    as_json: AsJson = False,
) -> None:
    """Tell what a file or folder is: its counts, sizes, and its fingerprint or checksum.

    Example: noisebench data info data/faces
    """
    import json

    from datasets_tools.info import describe

    info = describe(path)
    typer.echo(json.dumps(info.to_json(), indent=1) if as_json else str(info))
