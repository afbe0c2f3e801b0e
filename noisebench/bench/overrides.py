"""Values of a suite or of its methods that a command line sets: ``training.epochs=3``, ``method.margin=0.3``.

A key is that of a suite's YAML, dotted. ``method.OPTION`` is an option of every method that is benched, above what
recipe and suite say; ``methods.NAME.OPTION`` is one of the method called so, and ``head.OPTION`` one of every method
that has it, below what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from noisebench.bench.suite import Suite, load_suite
from noisebench.config import explain, read_yaml, recipe_path
from noisebench.errors import UserError, did_you_mean

EVERY_METHOD = "method"
TOLD = {"name", "description", "sources", "published"}
"""What a suite says of itself, and nobody else of it."""

Override = tuple[list[str], Any]
"""A key in its parts, and the value."""


def overridden_suite(name: str, overrides: Sequence[str], methods: Iterable[str] | None = None) -> Suite:
    """The suite of that name, or of that YAML file, with other values.

    Args:
        name: Of the suite.
        overrides: As ``KEY=VALUE``, the value in YAML.
        methods: Those that are benched; None for the suite's.

    Raises:
        FileError: The suite's file is missing or faulty.
        UserError: A key is unknown (the nearest valid one is given), or its value is not what it should be.
    """
    suite = load_suite(name)  # so that whatever is wrong from here on is an override's fault
    if not overrides:
        return suite
    content = read_yaml(recipe_path("suites", name))
    chosen = list(suite.methods if methods is None else methods)
    for text in overrides:
        parts, value = parse(text)
        if parts[0] == "methods" and parts[1] not in chosen:
            raise UserError(f"--set {text}: '{parts[1]}' is no method of this bench: {did_you_mean(parts[1], chosen)}")
        if parts[0] != EVERY_METHOD:
            _put(content, parts, value)
            continue
        for method in chosen:
            _put(content, ["methods", method, *parts[1:]], value)
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        raise UserError(f"--set: {explain(error, Suite)}") from error


def parse(text: str) -> Override:
    """Read one ``KEY=VALUE``.

    Raises:
        UserError: It is none, its key does not begin as one of a suite's, or its value is no YAML.
    """
    key, equals, written = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UserError(f"--set '{text}' is no KEY=VALUE: write for example --set training.epochs=3")
    known = (set(Suite.model_fields) | {EVERY_METHOD}) - TOLD
    if parts[0] not in known:
        raise UserError(f"--set {text}: unknown key '{parts[0]}': {_meant(parts[0], known)}")
    if len(parts) < {EVERY_METHOD: 2, "methods": 3}.get(parts[0], 1):
        raise UserError(
            f"--set {text}: name an option, too: method.margin=0.3, or of one method methods.arcface.margin=0.3"
        )
    try:
        return parts, yaml.safe_load(written)
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"--set {text}: the value is no valid YAML") from error


def _meant(key: str, known: Iterable[str]) -> str:
    """The nearest key; for one that is another's below it, such as epochs, the whole of it, training.epochs."""
    for name, field in Suite.model_fields.items():
        if isinstance(field.annotation, type) and key in getattr(field.annotation, "model_fields", {}):
            return f"did you mean '{name}.{key}'?"
    return did_you_mean(key, known)


def _put(content: dict[str, Any], parts: list[str], value: Any) -> None:
    *way, last = parts
    for part in way:
        if not isinstance(content.get(part), dict):
            content[part] = {}
        content = content[part]
    content[last] = value
