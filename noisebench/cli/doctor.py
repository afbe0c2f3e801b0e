"""``noisebench doctor``: what this machine offers a bench, and what is in its way."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from noisebench.cli.options import AsJson, Results
from noisebench.cli.terminal import coloured
from noisebench.exit_codes import ExitCode

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    data: Annotated[Path | None, typer.Option(help="Data set whose images to read and decode, for the speed.")] = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Look at Python, torch, GPUs, cores, memory, disk, network and extras, and say what each finding means.

    Leaves with exit code 1 if something would stop a bench.

    Example: noisebench doctor --data data/faces
    """
    from noisebench.doctor import Surroundings, examine

    findings = examine(Surroundings(results=results, data=data))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            level = coloured(f"{finding.level:<5}", COLOURS[finding.level])
            typer.echo(f"{level} {finding.what}: {finding.found}")
            typer.echo(textwrap.indent(finding.meaning, " " * 6))
    failed = any(finding.level == "fail" for finding in findings)
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.DONE)
