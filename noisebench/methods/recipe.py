"""Method recipes: a method with some of its options set, as a YAML file under ``recipes/methods``.

Every method can be named without a recipe; a recipe gives a setting of it a name of its own, such as ``arcface_m03``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from noisebench import methods
from noisebench.config import Settings, read_settings, recipe_names, recipe_path
from noisebench.errors import FileError, UserError, did_you_mean


class MethodRecipe(Settings):
    """What a method recipe's YAML holds."""

    method: str = Field(description="A name of `noisebench.methods.names()`.")
    description: str = ""
    options: dict[str, Any] = Field(default={}, description="Where they differ from the method's defaults.")


def load_method_recipe(name: str) -> MethodRecipe:
    """The recipe of that name, or of that YAML file; for a method without one, its plain defaults.

    Raises:
        FileError: The recipe is faulty, or is called like a method and is of another.
        UserError: There is neither recipe nor method of that name; the nearest is given.
    """
    if not name.endswith((".yaml", ".yml")) and name not in recipe_names("methods"):
        if name not in methods.names():
            known = {*methods.names(), *recipe_names("methods")}
            raise UserError(f"unknown method '{name}': {did_you_mean(name, known)}")
        return MethodRecipe(method=name)
    path = recipe_path("methods", name)
    recipe = read_settings(path, MethodRecipe)
    _check(recipe, path)
    return recipe


def resolve_method(name: str, common: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A recipe's method and all its options: defaults, then ``common``, then the recipe's, then ``own``.

    Args:
        name: Name of a recipe or method.
        common: Options for every method that has them.
        own: Options for this one.

    Raises:
        UserError: A name or an option is unknown or outside its range, or no method has an option of ``common``.
    """
    recipe = load_method_recipe(name)
    chosen = methods.find(recipe.method)
    for option in sorted(common.keys() - chosen.Options.model_fields.keys()):
        known = {field for method in methods.usable().values() for field in method.Options.model_fields}
        if option not in known:
            raise UserError(f"no method has an option '{option}': {did_you_mean(option, known)}")
    shared = {option: value for option, value in common.items() if option in chosen.Options.model_fields}
    return recipe.method, chosen.resolve({**shared, **recipe.options, **own})


def _check(recipe: MethodRecipe, path: Path) -> None:
    if recipe.method not in methods.names():
        raise FileError(path, f"key 'method' is '{recipe.method}': {did_you_mean(recipe.method, methods.names())}")
    if path.stem in methods.names() and path.stem != recipe.method:
        raise FileError(path, f"is called like method '{path.stem}', but key 'method' is '{recipe.method}'")
    try:
        methods.find(recipe.method).resolve(recipe.options)
    except UserError as error:
        raise FileError(path, str(error)) from error
