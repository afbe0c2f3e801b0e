"""The page of a method, in Markdown: its docstring, its options and its recipes."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from noisebench import methods
from noisebench.config import recipe_names
from noisebench.heads.head import Head
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.methods.recipe import load_method_recipe

INTRODUCTION = """\
# Methods

What each method computes, where its defaults come from, and where its paper and its authors' code differ. Written by
`noisebench describe > docs/methods.md` from the docstrings in `noisebench/methods`; `noisebench describe NAME` prints
the part about one method. `noisebench new method NAME` begins another.

RVFace (Wang et al., 2022) is missing: neither its formula nor its code could be had, and a guess would not be RVFace.
"""

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

Options = type[Head.Options]


def all_pages() -> str:
    """The pages of all methods, with a table of contents."""
    names, subjects = sorted(methods.usable()), methods.descriptions()
    contents = "\n".join(f"| [`{name}`](#{name}) | {subjects[name]} |" for name in names)
    shared = _table(MarginSoftmax.Options, list(MarginSoftmax.Options.model_fields))
    return "\n".join(
        [
            INTRODUCTION,
            f"| method | |\n| --- | --- |\n{contents}\n",
            *(page(name, linked=True) for name in names),
            f"## Options of every margin softmax\n\n{shared}\n",
        ]
    )


def page(name: str, *, linked: bool = False) -> str:
    """The page of one method.

    Args:
        name: The method.
        linked: Whether the other methods it mentions are on the same page.

    Raises:
        UserError: There is no such method; the nearest name is given.
    """
    text = _docstring(name)
    if linked:
        others = "|".join(set(methods.names()) - {name})
        text = re.sub(rf"(?<!`)`({others})`(?!`)", r"[`\1`](#\1)", text)
    parts = [f"## {name}", text]
    method = methods.find(name)
    options = _own_options(method)
    if options:
        parts.append(_table(method.Options, options))
    recipes = list(_recipes(name))
    if recipes:
        parts.append("Recipes:\n\n" + "\n".join(recipes))
    return "\n\n".join(parts) + "\n"


def content(name: str) -> dict[str, Any]:
    """A method as plain values: its page, and the JSON Schema of its options.

    Raises:
        UserError: There is no such method; the nearest name is given.
    """
    return {"method": name, "page": page(name), "options": methods.find(name).Options.model_json_schema()}


def _docstring(name: str) -> str:
    text = ast.get_docstring(ast.parse(methods.source_file(name).read_text(encoding="utf-8")))
    return text or inspect.getdoc(methods.find(name)) or ""


def _own_options(method: type[Head]) -> list[str]:
    """The options that not every margin softmax has with the same default."""
    shared = MarginSoftmax.Options.model_fields if issubclass(method, MarginSoftmax) else {}
    return [
        name
        for name, field in method.Options.model_fields.items()
        if name not in shared or (field.default, field.description) != (shared[name].default, shared[name].description)
    ]


def _table(options: Options, names: list[str]) -> str:
    properties = options.model_json_schema()["properties"]
    rows = ["| option | default | values | |", "| --- | --- | --- | --- |"]
    for name in names:
        schema = properties[name]
        meaning = schema.get("description", "").replace("|", "\\|")
        rows.append(f"| `{name}` | {_literal(schema['default'])} | {_values(schema)} | {meaning} |")
    return "\n".join(rows)


def _values(schema: Mapping[str, Any]) -> str:
    """What an option may be, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(map(_values, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(map(_literal, schema["enum"]))
    bounds = ", ".join(f"{sign} {schema[key]:.6g}" for key, sign in BOUNDS.items() if key in schema)
    return f"{schema['type']} {bounds}".strip()


def _literal(value: Any) -> str:
    """As YAML writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _recipes(name: str) -> Iterator[str]:
    for recipe_name in recipe_names("methods"):
        recipe = load_method_recipe(recipe_name)
        if recipe.method == name != recipe_name:
            options = ", ".join(f"{key}: {_literal(value)}" for key, value in recipe.options.items())
            yield f"- `{recipe_name}` (`{options}`): {recipe.description}"
