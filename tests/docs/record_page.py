"""Writes docs/result-schema.md from the schema of the result record: python -m tests.docs.record_page FILE."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noisebench.bench.record import RunRecord

OPENING = """\
# The result record

Every run has a `result.json`: what it was, and what came of it. It is written when a run is planned, kept up to date
while it is under way, and complete when `status` is `done`. `noisebench show run FOLDER` prints it in words.

The machine-readable form is [result.schema.json](result.schema.json), a JSON Schema (2020-12). This page is written
from it by `python -m tests.docs.record_page docs/result-schema.md`. A field that is not named here is an error; where
one changes its meaning, so does `schema_version`. Rates and accuracies lie between 0 and 1, times are in seconds, sizes
in bytes.
"""


def page() -> str:
    """The whole page, in Markdown."""
    schema = RunRecord.model_json_schema()
    parts = [OPENING, *_section("RunRecord", schema)]
    for name, definition in schema["$defs"].items():
        parts += _section(name, definition)
    return "\n".join(parts)


def _section(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"## {name}\n"
    if schema.get("description"):
        yield f"{schema['description']}\n"
    yield "| field | type | what |"
    yield "| --- | --- | --- |"
    required = schema.get("required", [])
    for field, value in schema["properties"].items():
        what = value.get("description", "")
        if field not in required and not what:
            what = f"Default: {json.dumps(value.get('default'))}."
        yield f"| `{field}` | {_type(value)} | {what} |"
    yield ""


def _type(value: dict[str, Any]) -> str:
    """The type of a field in words, with links to other tables."""
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}" if "items" in value else _pair(value)
    if isinstance(value.get("additionalProperties"), dict):
        return f"object of {_type(value['additionalProperties'])}"
    return str(value.get("type", "anything"))


def _pair(value: dict[str, Any]) -> str:
    return "[" + ", ".join(_type(item) for item in value["prefixItems"]) + "]"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
