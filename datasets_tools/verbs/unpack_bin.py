"""``noisebench data unpack-bin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="Verification set, a .bin file.")],
    out: Annotated[Path, typer.Option(help="New folder for the images and pairs.txt.")],
) -> None:
    """Write a verification set as image files and pairs.txt, which pack-bin makes the same file of again.

    Example: noisebench data unpack-bin lfw.bin --out lfw-pairs/
    """
    from datasets_tools.pack_bin import unpack_bin

    unpacked = unpack_bin(file, out)
    typer.echo(f"wrote {out}: {unpacked.num_images} images and pairs.txt with {unpacked.num_pairs} pairs")
