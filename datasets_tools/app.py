"""``noisebench data`` and ``python -m datasets_tools``: every file of ``verbs`` is one verb, found by scan."""

from __future__ import annotations

import importlib
import pkgutil

import typer

from datasets_tools import verbs

app = typer.Typer(
    help="Make, check, convert and compare data sets and noise manifests.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for _module in pkgutil.iter_modules(verbs.__path__):
    if not _module.name.startswith("_"):
        _verb = importlib.import_module(f"{verbs.__name__}.{_module.name}")
        app.command(_module.name.removesuffix("_").replace("_", "-"))(_verb.command)
