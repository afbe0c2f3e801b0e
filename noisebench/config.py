"""Recipes: YAML files checked against frozen, typed models; every mistake names the file and the key.

A recipe is found by its name in ``recipes/<kind>/`` of the working folder, then among those the package ships;
a path to a YAML file is taken as it is.
"""

from __future__ import annotations

import re
import reprlib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from noisebench.errors import FileError, UserError, did_you_mean

RECIPE_KINDS = ("noise", "methods", "suites")
MAX_RECIPE_BYTES = 1 << 20

_SHORT = reprlib.Repr()  # YAML's aliases can make a value without end out of a few lines
_SHORT.maxstring, _SHORT.maxlevel = 80, 2


class Settings(BaseModel):
    """Base of every configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SettingsT = TypeVar("SettingsT", bound=Settings)


def recipe_folders(kind: str) -> list[Path]:
    """Where recipes of a kind (one of ``RECIPE_KINDS``) are looked for, the user's own first."""
    shipped = Path(str(resources.files("noisebench"))) / "recipes"
    if not shipped.is_dir():  # a checkout, where recipes/ stands beside the package
        shipped = Path(__file__).resolve().parents[1] / "recipes"
    folders = [Path("recipes") / kind, shipped / kind]
    return [folder for folder in folders if folder.is_dir()]


def recipe_names(kind: str) -> list[str]:
    """The names of all recipes of a kind, sorted."""
    return sorted({file.stem for folder in recipe_folders(kind) for file in folder.glob("*.yaml")})


def recipe_path(kind: str, name: str) -> Path:
    """The file of the recipe called ``name``, which may also be a path to a YAML file.

    Raises:
        UserError: There is no such recipe; the nearest name is given.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise FileError(name, "no such recipe file")
        return Path(name)
    for folder in recipe_folders(kind):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    what = {"noise": "noise recipe", "methods": "method", "suites": "suite"}.get(kind, kind)
    raise UserError(f"unknown {what} '{name}': {did_you_mean(name, recipe_names(kind))}")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds.

    Raises:
        FileError: The file is too large, is no valid YAML, repeats a key, or holds no mapping.
    """
    if path.stat().st_size > MAX_RECIPE_BYTES:
        raise FileError(path, f"larger than {MAX_RECIPE_BYTES} bytes, so it is no recipe")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise FileError(path, "no valid YAML: " + " ".join(str(error).split())) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise FileError(path, "expected a mapping of names to values")
    return content


def read_settings(path: Path, model: type[SettingsT]) -> SettingsT:
    """Read a YAML file into a typed, frozen model.

    Raises:
        FileError: A key is unknown (the nearest valid one is given), missing, or its value is not what it should be.
    """
    try:
        return model.model_validate(read_yaml(path))
    except ValidationError as error:
        raise FileError(path, explain(error, model)) from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation as one line: key, value found, what was expected."""
    faults = error.errors(include_url=False)
    # A misspelt key is also a missing one; its own fault is the one that can say what was meant.
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        valid = _keys_beside(model, fault["loc"])
        return f"unknown key '{key}': {did_you_mean(str(fault['loc'][-1]), valid)}"
    if fault["type"] == "missing":
        return f"key '{key}' is missing"
    if fault["type"] == "literal_error":
        valid = re.findall("'([^']*)'", fault["ctx"]["expected"])
        return f"key '{key}' is {_SHORT.repr(fault['input'])}: {did_you_mean(str(fault['input']), valid)}"
    message = fault["msg"].removeprefix("Value error, ")
    if not key:
        return message
    if isinstance(fault["input"], dict):  # of a whole mapping the message says what is wrong in it
        return f"key '{key}': {message}"
    return f"key '{key}' is {_SHORT.repr(fault['input'])}: {message}"


def _keys_beside(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The valid keys at the level of ``location``, following nested models."""
    for part in location[:-1]:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        nested = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        models = [kind for kind in nested if issubclass(kind, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader to which a key given twice is an error, not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                mark = node.value[position][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", mark)
        return super().construct_mapping(node, deep)
