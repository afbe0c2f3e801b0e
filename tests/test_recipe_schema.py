"""The JSON Schemas of recipes: every shipped recipe fits, and what the program refuses does not."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest

from noisebench.config import RECIPE_KINDS, read_yaml, recipe_names, recipe_path
from noisebench.errors import UserError
from noisebench.recipe_schema import SCHEMAS, schema_of

SCHEMA_OF = {"noise": "noise", "methods": "method", "suites": "suite"}
RECIPES = [(kind, name) for kind in RECIPE_KINDS for name in recipe_names(kind)]


@cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(kind))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_is_a_schema_of_its_dialect(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(kind))


@pytest.mark.parametrize(("kind", "name"), RECIPES, ids="/".join)
def test_every_shipped_recipe_fits(kind: str, name: str) -> None:
    validator(SCHEMA_OF[kind]).validate(read_yaml(recipe_path(kind, name)))


SUITE = read_yaml(recipe_path("suites", "synth"))


@pytest.mark.parametrize(
    ("kind", "content", "key"),
    [
        ("noise", {"closd": {"rate": 0.1}}, ""),
        ("noise", {"closed": {"rate": 2}}, "closed.rate"),
        ("noise", {"closed": {"rate": 0.1, "targets": "unifrom"}}, "closed.targets"),
        ("method", {"options": {}}, ""),
        ("method", {"method": "arcfase"}, "method"),
        ("method", {"method": "arcface", "options": {"margn": 0.3}}, "options"),
        ("method", {"method": "arcface", "options": {"margin": "wide"}}, "options.margin"),
        ("suite", {**SUITE, "epochs": 3}, ""),
        ("suite", {**SUITE, "training": {**SUITE["training"], "epochs": 0}}, "training.epochs"),
        ("suite", {**SUITE, "methods": {"arcface": {"margn": 0.3}}}, "methods.arcface"),
    ],
)
def test_what_is_wrong_does_not_fit(kind: str, content: dict[str, Any], key: str) -> None:
    errors = list(validator(kind).iter_errors(content))
    assert key in {".".join(map(str, error.absolute_path)) for error in errors}


def test_keys_have_descriptions_for_the_editor_to_show() -> None:
    noise = schema_of("noise")
    assert "description" in noise["properties"]["chosen_per"]
    assert "radians" in schema_of("method")["$defs"]["arcface"]["properties"]["margin"]["description"]


def test_an_unknown_kind_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="there is no schema of 'suit': did you mean 'suite'"):
        schema_of("suit")
