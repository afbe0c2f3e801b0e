"""Options that several verbs share, and lists given with commas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from noisebench.cli.completion import complete, complete_run
from noisebench.errors import UserError

Checkpoint = Annotated[
    Path,
    typer.Option(
        help="A run's folder, or a .pt, .ckpt, .onnx or .safetensors file; see docs/checkpoints.md.",
        autocompletion=complete_run,
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(help="Backbone of a state dict that does not tell it.", autocompletion=complete("backbones")),
]
ChannelOrder = Annotated[
    Literal["rgb", "bgr"] | None, typer.Option(help="Colours it was trained with; default: what its format stands for.")
]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, or cuda.")]
Results = Annotated[Path, typer.Option(help="Folder of runs, tables and figures.")]
RunFolder = Annotated[
    Path, typer.Argument(help="Folder of a run: the one with its result.json.", autocompletion=complete_run)
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take: runs, steps, hours, memory, disk; run nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def names(text: str, option: str) -> tuple[str, ...]:
    """The names in a list such as ``a,b``.

    Raises:
        UserError: The list is empty or holds a name twice.
    """
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise UserError(f"{option} is empty: give a name, or several with commas between them")
    if len(set(found)) < len(found):
        raise UserError(f"{option} '{text}' holds a name twice")
    return found


def numbers(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers in a list such as ``0,1,2``.

    Raises:
        UserError: One of them is none, or is negative.
    """
    for name in names(text, option):
        if not (name.isascii() and name.isdigit()):
            raise UserError(f"{option} '{text}': '{name}' is no whole number from 0 up; write for example 0,1,2")
    return tuple(int(name) for name in names(text, option))
