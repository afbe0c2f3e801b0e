"""``noisebench data`` and ``python -m datasets_tools``: every file of ``verbs`` is one verb, found by scan."""

from __future__ import annotations

import pkgutil
from typing import ClassVar

import typer

from datasets_tools import verbs
from noisebench.cli.verbs import LOOKS, Verbs


class _DataVerbs(Verbs):
    sections: ClassVar = {
        "Commands": {
            file.name.removesuffix("_").replace("_", "-"): f"{verbs.__name__}.{file.name}:command"
            for file in pkgutil.iter_modules(verbs.__path__)
            if not file.name.startswith("_")
        }
    }


app = typer.Typer(
    cls=_DataVerbs,
    add_completion=False,
    help="Make, check, convert and compare data sets and noise manifests.",
    **LOOKS,
)


@app.callback()
def _data() -> None:
    """Makes a group of an app without commands of its own."""
