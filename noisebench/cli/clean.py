"""``noisebench clean``: find mislabelled images by a trained run, and drop or relabel them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisebench.cli.completion import complete_run
from noisebench.cli.options import AsJson
from noisebench.errors import UserError
from noisebench.exit_codes import ExitCode

if TYPE_CHECKING:  # they load torch
    from noisebench.bench.request import Request
    from noisebench.bench.where import Where
    from noisebench.cleaning.clean_run import Cleaning
    from noisebench.cleaning.rounds import Rounds
    from noisebench.cleaning.rules import Rule


def clean(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of a finished run; none to train and clean in rounds.", autocompletion=complete_run
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Cleaned manifest to write (.parquet); in rounds, a folder.")],
    rule: Annotated[str, typer.Option(help="What is wrong: angle, gap, correction or subcentre.")] = "angle",
    threshold: Annotated[
        str | None, typer.Option(help="Angle with its unit, such as 75deg or 1.3rad; default: 75deg, for gap 0deg.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="drop, the default; or relabel, by rule gap or correction.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How many of the last epochs of the log are looked at; default: 3.")
    ] = None,
    reading: Annotated[
        str | None, typer.Option(help="subcentre: drop what the authors' code does (default), or what the paper says.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="In rounds: suite to train with; default: synth.")] = None,
    noise: Annotated[str | None, typer.Option(help="In rounds: noise recipe or manifest (.parquet).")] = None,
    method: Annotated[str | None, typer.Option(help="In rounds: method to train.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In rounds: training seed; default: 0.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="In rounds: how many at most; default: 3.")] = None,
    stop_below: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="In rounds: none after one that changed fewer per cent; default: 0.1."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data set; default: the suite's, or where RUN read it.")] = None,
    outliers: Annotated[Path | None, typer.Option(help="Outlier set, likewise.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="In rounds: folder of runs, shared with 'bench'; default: that of --out.")
    ] = None,
    nproc: Annotated[int | None, typer.Option(min=1, help="In rounds: processes a run is trained with.")] = None,
    device: Annotated[str | None, typer.Option(help="In rounds: auto, cpu or cuda; default: auto.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the images a run was trained with, and write the manifest of those that remain, with all decisions.

    Without RUN: train, clean and train again on what remains, in rounds, on this host.
    Example: noisebench clean RUN --rule angle --threshold 75deg --out clean.parquet
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")

    from noisebench.cleaning.choose import choose_rule

    options = {"threshold": threshold, "action": action, "epochs": epochs, "reading": reading}
    if run is not None:
        in_rounds: dict[str, object] = {
            "suite": suite,
            "noise": noise,
            "method": method,
            "seed": seed,
            "results": results,
        }
        in_rounds |= {"rounds": rounds, "stop-below": stop_below, "nproc": nproc, "device": device}
        for option in (name for name, value in in_rounds.items() if value is not None):
            raise UserError(f"RUN is trained already: --{option} is for cleaning in rounds")
        _by_run(run, choose_rule(rule, **options, data=data, outliers=outliers), out, as_json)
        return
    if noise is None or method is None:
        raise UserError("give the folder of a finished run, or --noise and --method to train and clean in rounds")
    from noisebench.bench.layout import Layout
    from noisebench.bench.request import Request
    from noisebench.bench.where import Where
    from noisebench.cleaning.rounds import Rounds

    request = Request(
        suite=suite or "synth",
        noise=(noise,),
        methods=(method,),
        seeds=(seed or 0,),
        data=data,
        outliers=outliers,
        results=results or out,
        device=device or "auto",
        num_processes=nproc or 1,
    )
    where = Where(layout=Layout(processes=nproc or 1))
    limits = Rounds(most=rounds or 3, stop_below=(0.1 if stop_below is None else stop_below) / 100)
    raise typer.Exit(_in_rounds(request, where, choose_rule(rule, **options), limits, out, as_json))


def _by_run(run: Path, rule: Rule, out: Path, as_json: bool) -> None:
    from noisebench.analysis.whole_run import open_run
    from noisebench.cleaning.clean_run import clean_run

    if out.suffix != ".parquet":
        raise UserError(f"--out '{out}': a manifest is a Parquet file, so its name ends in .parquet")
    cleaning = clean_run(open_run(run), rule)
    cleaning.write(out)
    typer.echo(_told(cleaning, str(rule), out, as_json))


def _in_rounds(request: Request, where: Where, rule: Rule, rounds: Rounds, out: Path, as_json: bool) -> ExitCode:
    from noisebench.cleaning.rounds import MANIFEST_NAME, clean_in_rounds

    say = partial(typer.echo, err=as_json)
    say(str(rule))
    total, outcome = clean_in_rounds(request, where, rule, rounds, out, say)
    if outcome == ExitCode.STOPPED:
        typer.echo("noisebench: stopped; the same command goes on from here", err=True)
    if total is not None:
        typer.echo(_told(total, "all rounds", out / MANIFEST_NAME, as_json, str(rule)))
    return outcome


def _told(cleaning: Cleaning, title: str, out: Path, as_json: bool, rule: str | None = None) -> str:
    """What came of a cleaning, in words or as JSON."""
    from noisebench.analysis.plain import to_json
    from noisebench.cleaning.quality import Quality

    quality = Quality.of(cleaning.before, cleaning.decisions)
    if as_json:
        return to_json({"rule": rule or title, "manifest": out, "images": len(cleaning.after), "quality": quality})
    return f"{title}\n{quality}\nwrote {out}: {len(cleaning.after)} images"
