"""What a user asks a bench for, and what can be told of it at once, before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from noisebench import catalogue
from noisebench.bench.overrides import overridden_suite
from noisebench.config import recipe_path
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.formats.data_source import EXPECTED, folders
from noisebench.noise.recipe import load_recipe


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks a bench for; None leaves the choice to the suite."""

    suite: str
    overrides: tuple[str, ...] = ()  # of suite and methods, as KEY=VALUE; see noisebench.bench.overrides
    noise: tuple[str, ...]
    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    data: Path | None = None  # a folder, or several with commas between them
    outliers: Path | None = None
    accept_data: bool = False  # even if they are not those that the suite expects
    results: Path = Path("results")
    reader: str = "native"
    device: str = "auto"
    num_processes: int = 1
    timeout_minutes: float = 10.0
    checkpoint_minutes: float = 5.0


def check(request: Request) -> None:
    """Refuse names that are unknown and files that are not there; the plan checks what they hold.

    Raises:
        UserError: There is one; the nearest name is given.
    """
    suite = overridden_suite(request.suite, request.overrides, request.methods)
    for name in request.noise:
        if not name.endswith(".parquet"):
            load_recipe(name)
        elif not Path(name).is_file():
            raise FileError(name, "no such manifest", "'noisebench data noise' makes one")
    for name in request.methods or suite.methods:
        _check_method(name)
    backbone, known = suite.backbone.name, catalogue.names("backbones")
    if ":" not in backbone and backbone not in known:
        raise UserError(f"unknown backbone '{backbone}': {did_you_mean(backbone, known)}")
    data = request.data or suite.data
    if data is None and suite.faces is None:
        raise UserError(f"suite '{suite.name}' makes no data of its own: name a data set with --data")
    for folder in folders(data) if data is not None else ():
        if not folder.exists():
            raise FileError(folder, "no such folder", EXPECTED)


def _check_method(name: str) -> None:
    known = catalogue.names("methods")
    if name.endswith((".yaml", ".yml")):
        recipe_path("methods", name)
    elif name not in known:
        raise UserError(f"unknown method '{name}': {did_you_mean(name, known)}")
