"""What can be named, with a line on each. Nothing heavy is loaded for names, so that completion by TAB is quick."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path

from noisebench import config, methods
from noisebench.errors import FileError, UserError, did_you_mean

Descriptions = dict[str, str]

_END_OF_SENTENCE = re.compile(r"(?<!\.[a-z])(?<! al)\.\s")  # neither "e.g. " nor "et al. "


def names(kind: str) -> list[str]:
    """The names of a kind, sorted.

    Raises:
        UserError: There is no such kind; the nearest is given.
    """
    return sorted(NAMES[kind]() if kind in NAMES else descriptions(kind))


def descriptions(kind: str) -> Descriptions:
    """What each of a kind is, in one line, by its name, sorted.

    Raises:
        UserError: There is no such kind; the nearest is given.
    """
    if kind not in LISTS:
        raise UserError(f"nothing is listed as '{kind}': {did_you_mean(kind, LISTS)}")
    _, describe = LISTS[kind]
    return {name: text.removesuffix(".") for name, text in sorted(describe().items())}


def _methods() -> Descriptions:
    return {**_recipes("methods"), **methods.descriptions()}  # a recipe called like a method is of that method


def _backbones() -> Descriptions:
    from noisebench import backbones

    return backbones.descriptions()


def _test_sets() -> Descriptions:
    from noisebench.evaluation import protocols

    return protocols.descriptions()


def _noise_protocols() -> Descriptions:
    from noisebench.noise import protocols

    return protocols.descriptions()


def _launchers() -> Descriptions:
    from noisebench.bench import launchers

    return launchers.descriptions()


def _launcher_names() -> Iterable[str]:
    from noisebench.bench import launchers

    return launchers.names()


def _all_recipes() -> Descriptions:
    return {f"{kind}/{name}": text for kind in config.RECIPE_KINDS for name, text in _recipes(kind).items()}


def _recipes(kind: str) -> Descriptions:
    return {name: _of_recipe(config.recipe_path(kind, name)) for name in config.recipe_names(kind)}


def _of_recipe(path: Path) -> str:
    """The first sentence of its description; of a file that is no recipe, what is wrong with it."""
    try:
        description = " ".join(str(config.read_yaml(path).get("description", "")).split())
    except FileError as error:
        return f"cannot be used: {error.problem}"
    return _END_OF_SENTENCE.split(description)[0]


def _backbone_names() -> Iterable[str]:
    """Those that the files' ``__all__`` name, read without importing them, for they import torch."""
    for file in (Path(__file__).parent / "backbones").glob("[!_]*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
                yield from ast.literal_eval(node.value)
    yield from (entry.name for entry in entry_points(group="noisebench.backbones"))


LISTS: dict[str, tuple[str, Callable[[], Descriptions]]] = {
    "methods": ("What --methods takes: methods, and settings of them under a name.", _methods),
    "noise": ("What --noise takes: noise recipes.", lambda: _recipes("noise")),
    "suites": ("What --suite takes: data, backbone and training.", lambda: _recipes("suites")),
    "backbones": ("What backbone.name takes.", _backbones),
    "testsets": ("What --protocol of 'noisebench eval' takes.", _test_sets),
    "launchers": ("What --launcher takes.", _launchers),
    "noise-protocols": ("What a noise recipe's protocol.name takes: installed packages have them.", _noise_protocols),
    "recipes": ("Every YAML file: noise, methods, suites.", _all_recipes),
}
"""What is listed: in words, and how it is found."""

NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "methods": lambda: {*methods.names(), *config.recipe_names("methods")},
    "noise": lambda: config.recipe_names("noise"),
    "suites": lambda: config.recipe_names("suites"),
    "backbones": _backbone_names,
    "launchers": _launcher_names,
}
"""How names are found where their descriptions take longer."""
