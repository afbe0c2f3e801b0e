"""``noisebench``: all verbs together, and one line for every mistake."""

from __future__ import annotations

import sys
import warnings

import typer

from datasets_tools.app import app as data
from noisebench import __version__
from noisebench.cli import (
    analyze,
    bench,
    clean,
    compare,
    describe,
    embed,
    evaluate,
    export,
    figures,
    listing,
    new,
    report,
    samples,
    show,
    similarity,
    status,
    table,
)
from noisebench.errors import UserError
from noisebench.exit_codes import ExitCode

_INTERRUPTED = 130  # what typer returns on Ctrl-C

app = typer.Typer(
    name="noisebench",
    help="Benchmark face recognition under label noise.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("bench")(bench.bench)
app.command("status")(status.status)
app.command("eval")(evaluate.evaluate)
app.command("similarity")(similarity.similarity)
app.command("embed")(embed.embed)
app.command("export")(export.export)
app.command("table")(table.table)
app.command("compare")(compare.compare)
app.command("show")(show.show)
app.command("samples")(samples.samples)
app.command("clean")(clean.clean)
app.command("analyze")(analyze.analyze)
app.command("figures")(figures.figures)
app.command("report")(report.report)
app.command("list")(listing.list_)
app.command("describe")(describe.describe)
app.add_typer(new.app, name="new")
app.add_typer(data, name="data")


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        typer.echo(f"noisebench {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. A user's mistake is one line on stderr and exit code 2, never a traceback."""
    run(app, "noisebench")


def run(application: typer.Typer, name: str) -> None:
    """Run a command line under its name and leave with its exit code. A warning is one line on stderr."""
    warnings.formatwarning = lambda message, *_, **__: f"{name}: warning: {message}\n"
    try:
        code = application(prog_name=name, standalone_mode=False)
    except UserError as error:
        _tell(name, str(error))
        code = ExitCode.USER_ERROR
    except typer.TyperException as error:
        _tell(name, f"{error.format_message()} (see {name} --help)")
        code = ExitCode.USER_ERROR
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        _tell(name, "stopped; the same command goes on from here")
        code = ExitCode.STOPPED
    sys.exit(code or ExitCode.DONE)


def _tell(name: str, message: str) -> None:
    typer.echo(f"{name}: {' '.join(message.split())}", err=True)
