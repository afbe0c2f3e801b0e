"""A suite's whole set-up, every default resolved, beside that of the sources it follows, each difference marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from noisebench.analysis.text import pipe_table
from noisebench.bench.suite import PublishedValue, Suite, load_suite
from noisebench.config import recipe_path
from noisebench.errors import FileError, did_you_mean
from noisebench.heads.centres import INITIAL_STD
from noisebench.methods.recipe import resolve_method

FIXED: dict[str, Any] = {
    "training.optimizer": "sgd",
    "training.order": "drawn anew in every epoch",
    "training.incomplete_batch": "left out",
    "head.initialisation": f"normal(0, {INITIAL_STD})",
    "input.channels": "rgb",
    "input.scaling": "(x - 127.5) / 127.5",
    "selection": "last",
}
"""What no suite can set."""

_SHOWN = ("expects", "backbone", "training", "head", "seeds", "noise_seed", "test_sets")


@dataclass(frozen=True)
class Setting:
    """One setting of a suite.

    Attributes:
        key: Dotted.
        value: The suite's.
        published: The source's, None where it is not told.
        source: Short name of the source, empty where there is none.
        differs: Whether the source has another value.
        note: Why.
    """

    key: str
    value: Any
    published: Any = None
    source: str = ""
    differs: bool = False
    note: str = ""


def settings(suite: Suite) -> dict[str, Any]:
    """Every setting of a suite by its dotted key: its own, those of its methods, and what no suite can set."""
    own = suite.model_dump(mode="json")
    return dict(_flat({key: own[key] for key in _SHOWN})) | FIXED | _of_methods(suite)


def compare(suite: Suite) -> list[Setting]:
    """All settings, each beside what the sources say of it; where two of them do, twice.

    Raises:
        FileError: The suite's file tells of a setting that there is not.
    """
    ours = settings(suite)
    told: dict[str, list[PublishedValue]] = {}
    for published in suite.published:
        if published.key not in ours:
            problem = f"'published' has the unknown key '{published.key}': {did_you_mean(published.key, ours)}"
            raise FileError(recipe_path("suites", suite.name), problem)
        told.setdefault(published.key, []).append(published)
    return [setting for key, value in ours.items() for setting in _beside(key, value, told.get(key, []))]


def suite_page(name: str) -> str:
    """The page of a suite, in Markdown.

    Raises:
        UserError: There is no such suite, or it is faulty.
    """
    suite = load_suite(name)
    compared = compare(suite)
    rows = [("", "setting", "this suite", "published", "source")]
    rows += [("≠" if one.differs else "", one.key, _text(one.value), _published(one), one.source) for one in compared]
    differences = [one for one in compared if one.differs]
    lines = [f"# {suite.name}", "", suite.description, "", *pipe_table(rows)]
    if suite.sources:
        lines += ["", "Sources:", *(f"- {short}: {source}" for short, source in suite.sources.items())]
        lines += ["", f"{len(differences)} differences:" if differences else "No difference."]
        lines += [f"- {one.key}: {_text(one.value)}, not {_published(one)}. {one.note}".rstrip() for one in differences]
    else:
        lines += ["", "It follows no published set-up."]
    return "\n".join(lines) + "\n"


def suite_content(name: str) -> dict[str, Any]:
    """The same as plain values, for ``--json``."""
    suite = load_suite(name)
    compared = [asdict(setting) for setting in compare(suite)]
    return {"name": suite.name, "description": suite.description, "sources": suite.sources, "settings": compared}


def _of_methods(suite: Suite) -> dict[str, Any]:
    """The options of each method; what all of them have alike only once, as ``methods.*``."""
    resolved = {}
    for name, own in suite.methods.items():
        method, options = resolve_method(name, common=suite.head, own=own)
        resolved[name] = {"method": method, **options}
    first, *others = resolved.values()
    alike = {key: value for key, value in first.items() if all(other.get(key, ...) == value for other in others)}
    own_options = {
        name: {key: value for key, value in options.items() if key not in alike} for name, options in resolved.items()
    }
    return dict(_flat({"*": alike, **own_options}, "methods."))


def _beside(key: str, value: Any, told: list[PublishedValue]) -> Iterator[Setting]:
    for published in told:
        theirs = list(published.value) if isinstance(published.value, tuple) else published.value
        yield Setting(key, value, theirs, published.source, theirs != value, published.note)
    if not told:
        yield Setting(key, value)


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _published(setting: Setting) -> str:
    return _text(setting.published) if setting.source else ""


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
