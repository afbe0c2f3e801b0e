"""``noisebench clean``: find mislabelled images by a trained run, and drop or relabel them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisebench.errors import UserError
from noisebench.exit_codes import ExitCode

if TYPE_CHECKING:  # they load torch
    from noisebench.bench.plan import Request
    from noisebench.bench.start import Where
    from noisebench.cleaning.rounds import Rounds
    from noisebench.cleaning.rules import Rule


def clean(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of a finished run; none to train and clean in rounds.")
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
    seed: Annotated[int, typer.Option(min=0, help="In rounds: training seed.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds at most.")] = 3,
    stop_below: Annotated[
        float, typer.Option(min=0, max=100, help="No further round once one changed fewer per cent of the images.")
    ] = 0.1,
    data: Annotated[Path | None, typer.Option(help="Data set; default: the suite's, or where RUN read it.")] = None,
    outliers: Annotated[Path | None, typer.Option(help="Outlier set, likewise.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="In rounds: folder of runs, shared with 'bench'; default: that of --out.")
    ] = None,
    nproc: Annotated[int, typer.Option(min=1, help="In rounds: processes a run is trained with.")] = 1,
    device: Annotated[str, typer.Option(help="In rounds: auto, cpu or cuda.")] = "auto",
) -> None:
    """Judge the images a run was trained with, and write the manifest of those that remain, with all decisions.

    Without RUN: train, clean and train again on what remains, in rounds.
    Example: noisebench clean RUN --rule angle --threshold 75deg --out clean.parquet
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")

    from noisebench.cleaning.choose import choose_rule

    options = {"threshold": threshold, "action": action, "epochs": epochs, "reading": reading}
    if run is not None:
        if suite or noise or method or results:
            raise UserError("RUN is trained: --suite, --noise, --method and --results are for cleaning in rounds")
        _by_run(run, choose_rule(rule, **options, data=data, outliers=outliers), out)
        return
    if noise is None or method is None:
        raise UserError("give the folder of a finished run, or --noise and --method to train and clean in rounds")
    from noisebench.bench.layout import Layout
    from noisebench.bench.plan import Request
    from noisebench.bench.start import Where
    from noisebench.cleaning.rounds import Rounds

    request = Request(
        suite=suite or "synth",
        noise=(noise,),
        methods=(method,),
        seeds=(seed,),
        data=data,
        outliers=outliers,
        results=results or out,
        device=device,
        num_processes=nproc,
    )
    where = Where(layout=Layout(processes=nproc))
    chosen = choose_rule(rule, **options)
    raise typer.Exit(_in_rounds(request, where, chosen, Rounds(most=rounds, stop_below=stop_below / 100), out))


def _by_run(run: Path, rule: Rule, out: Path) -> None:
    from noisebench.analysis.whole_run import open_run
    from noisebench.cleaning.clean_run import clean_run
    from noisebench.cleaning.quality import Quality

    if out.suffix != ".parquet":
        raise UserError(f"--out '{out}': a manifest is a Parquet file, so its name ends in .parquet")
    cleaning = clean_run(open_run(run), rule)
    cleaning.write(out)
    typer.echo(f"{rule}\n{Quality.of(cleaning.before, cleaning.decisions)}\nwrote {out}: {len(cleaning.after)} images")


def _in_rounds(request: Request, where: Where, rule: Rule, rounds: Rounds, out: Path) -> ExitCode:
    from noisebench.cleaning.quality import Quality
    from noisebench.cleaning.rounds import MANIFEST_NAME, clean_in_rounds

    typer.echo(str(rule))
    total, outcome = clean_in_rounds(request, where, rule, rounds, out, typer.echo)
    if total is not None:
        typer.echo(f"all rounds\n{Quality.of(total.before, total.decisions)}")
        typer.echo(f"wrote {out / MANIFEST_NAME}: {len(total.after)} images")
    return outcome
