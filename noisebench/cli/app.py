"""``noisebench``: all verbs together, and one line for every mistake."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import ClassVar

import typer

from noisebench import __version__
from noisebench.cli.verbs import LOOKS, Verbs
from noisebench.errors import UserError, did_you_mean
from noisebench.exit_codes import ExitCode

_INTERRUPTED = 130  # what typer returns on Ctrl-C
_WIDTH = 100


class _TopVerbs(Verbs):
    """Every verb has a file of its own here; a further one is a line below."""

    sections: ClassVar = {
        "Train": {
            "bench": "noisebench.cli.bench:bench",
            "train": "noisebench.cli.train:train",
            "status": "noisebench.cli.status:status",
        },
        "Compare": {
            "table": "noisebench.cli.table:table",
            "compare": "noisebench.cli.compare:compare",
            "figures": "noisebench.cli.figures:figures",
            "report": "noisebench.cli.report:report",
        },
        "Look into a run": {
            "show": "noisebench.cli.show:show",
            "analyze": "noisebench.cli.analyze:analyze",
            "samples": "noisebench.cli.samples:samples",
            "clean": "noisebench.cli.clean:clean",
        },
        "Use a trained model": {
            "eval": "noisebench.cli.evaluate:evaluate",
            "similarity": "noisebench.cli.similarity:similarity",
            "embed": "noisebench.cli.embed:embed",
            "export": "noisebench.cli.export:export",
        },
        "Data, recipes, methods": {
            "data": "datasets_tools.app:app",
            "list": "noisebench.cli.listing:list_",
            "describe": "noisebench.cli.describe:describe",
            "new": "noisebench.cli.new:app",
            "schema": "noisebench.cli.schema:schema",
        },
        "This machine": {
            "doctor": "noisebench.cli.doctor:doctor",
        },
    }


app = typer.Typer(
    name="noisebench",
    cls=_TopVerbs,
    help="Benchmark face recognition under label noise.",
    epilog="Exit codes: 0 done; 1 a run failed or a check found faults; 2 a mistake in the command, told in one line; "
    "75 stopped, and the same command goes on. 'noisebench COMMAND --help' ends with an example.",
    context_settings={"max_content_width": _WIDTH},
    **LOOKS,
)


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
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # read when torch is loaded: its stack traces help no user
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to end is as Ctrl-C
    warnings.formatwarning = lambda message, *_, **__: f"{name}: warning: {message}\n"
    try:
        code = application(prog_name=name, standalone_mode=False)
    except UserError as error:
        _tell(name, str(error))
        code = ExitCode.USER_ERROR
    except typer.TyperException as error:
        _tell(name, _in_words(error, name))
        code = ExitCode.USER_ERROR
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        _tell(name, "stopped; the same command goes on from here")
        code = ExitCode.STOPPED
    sys.exit(code or ExitCode.DONE)


def _in_words(error: typer.TyperException, name: str) -> str:
    """What is wrong with the words of a command, and whose help to look at."""
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else name
    message = error.format_message().removesuffix(".").replace("Value error, ", "")  # pydantic's
    near = getattr(error, "possibilities", None)
    if near:
        option = getattr(error, "option_name", "")
        message = f"no option '{option}': {did_you_mean(option, near)}"
    return f"{message} (see {verb} --help)"


def _tell(name: str, message: str) -> None:
    typer.echo(f"{name}: {' '.join(message.split())}", err=True)
