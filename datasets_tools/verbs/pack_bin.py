"""``noisebench data pack-bin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    pairs: Annotated[Path, typer.Argument(help="LFW's pairs.txt, or lines 'path1 path2 0|1'.")],
    root: Annotated[Path, typer.Option(help="Folder that the list's images are in.")],
    out: Annotated[Path, typer.Option(help="Verification set to write, a .bin file.")],
) -> None:
    """Pack the images of a list of pairs into a verification set; their bytes stay as they are.

    Example: noisebench data pack-bin pairs.txt --root lfw-aligned/ --out lfw.bin
    """
    from datasets_tools.pack_bin import pack_bin

    packed = pack_bin(pairs, root, out)
    typer.echo(f"wrote {out}: {packed.num_pairs} pairs, {packed.num_same} of one identity, {packed.num_images} images")
