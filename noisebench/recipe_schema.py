"""JSON Schemas of recipes, by which an editor completes and checks them while they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noisebench import catalogue, methods
from noisebench.bench.record import RunRecord
from noisebench.bench.suite import Suite
from noisebench.errors import UserError, did_you_mean
from noisebench.methods.recipe import MethodRecipe
from noisebench.noise.recipe import NoiseRecipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def schema_of(kind: str) -> Schema:
    """The JSON Schema of a kind of file.

    Args:
        kind: One of ``SCHEMAS``.

    Raises:
        UserError: There is no such kind; the nearest is given.
    """
    if kind not in SCHEMAS:
        raise UserError(f"there is no schema of '{kind}': {did_you_mean(kind, SCHEMAS)}")
    return {"$schema": DIALECT, **SCHEMAS[kind]()}


def _noise() -> Schema:
    schema = NoiseRecipe.model_json_schema()
    schema["required"] = [key for key in schema.get("required", []) if key != "name"]  # the file's own, if not given
    return schema


def _method() -> Schema:
    """Which options there are depends on the method."""
    schema = MethodRecipe.model_json_schema()
    schema["properties"]["method"]["enum"] = methods.names()
    schema["allOf"] = [
        {"if": {"properties": {"method": {"const": name}}}, "then": {"properties": {"options": options}}}
        for name, options in _options(schema).items()
    ]
    return schema


def _suite() -> Schema:
    """Methods of this installation have their options; another key there is a recipe's name."""
    schema = Suite.model_json_schema()
    schema["properties"]["methods"]["properties"] = _options(schema)
    schema["$defs"]["BackboneSettings"]["properties"]["name"]["examples"] = catalogue.names("backbones")
    return schema


def _options(schema: Schema) -> dict[str, Schema]:
    """References to the options of every method, which are added to the schema's definitions."""
    definitions = schema.setdefault("$defs", {})
    for name, method in methods.usable().items():
        options = method.Options.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        definitions |= {f"{name}.{nested}": found for nested, found in options.pop("$defs", {}).items()}
        definitions[name] = {**options, "title": f"Options of {name}"}
    return {name: {"$ref": f"#/$defs/{name}"} for name in methods.usable()}


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "noise": _noise,
    "method": _method,
    "suite": _suite,
    "result": RunRecord.model_json_schema,
}
"""What there is a schema of, and what makes it."""
