"""Which runs may stand in one table: those that differ in nothing but what the table varies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from noisebench.bench.record import RunRecord, TestMetrics
from noisebench.errors import UserError

Rule = tuple[str, Callable[[RunRecord], object], Callable[[RunRecord], str | None]]

RULES: tuple[Rule, ...] = (
    ("code", lambda run: (run.noise, run.method), lambda run: run.code.sha256),
    ("noise manifest", lambda run: run.noise, lambda run: run.manifest_checksum),
    ("noise by batch", lambda run: run.noise, lambda run: str(run.noise_per_batch)),
    ("outlier set", lambda run: run.noise, lambda run: run.outliers.fingerprint if run.outliers else None),
    ("source of the method", lambda run: run.method, lambda run: run.method_sha256),
    ("configuration", lambda run: run.method, lambda run: json.dumps(run.config, sort_keys=True)),
    ("hash", lambda run: (run.noise, run.method, run.seed), lambda run: run.hash),
)
"""What must agree, among which runs, and how it is told: runs of equal second entry must have an equal third."""


def refuse_mixed(runs: Sequence[RunRecord]) -> None:
    """Refuse runs of one suite and data set that no table may average or set side by side.

    Raises:
        UserError: Runs to be averaged differ in code; runs side by side differ in the manifest or outliers of a
            noise, in the source or configuration of a method, in a test set of one name or in how it was used; or one
            method was run twice with a seed.
    """
    for what, among, value in RULES:
        _refuse(what, ((among(run), value(run), run) for run in runs))
    _refuse("test set", ((name, result.sha256, run) for run in runs for name, result in run.metrics.items()))
    _refuse("test protocol", ((name, protocol_of(result), run) for run in runs for name, result in run.metrics.items()))


CONDITIONS: tuple[tuple[str, Callable[[RunRecord], object]], ...] = (
    ("code", lambda run: run.code.sha256),
    ("backbone", lambda run: run.config.get("backbone")),
    ("training settings", lambda run: run.config.get("training")),
    ("training set", lambda run: run.data.fingerprint),
    ("outlier set", lambda run: run.outliers.fingerprint if run.outliers else None),
    ("noise manifest", lambda run: run.manifest_checksum),
    ("noise by batch", lambda run: run.noise_per_batch),
)
"""What has a hand in a result besides method and seed. Methods may stand side by side and differ in it, as a table's
header then says; but a difference between them may be due to it, so no table tests whether that is chance."""


def protocol_of(result: TestMetrics) -> str | None:
    """How a result was come by, as text; None for a record that does not say."""
    return result.provenance.model_dump_json() if result.provenance is not None else None


def conditions(run: RunRecord) -> str:
    """All of `CONDITIONS` in one text: equal for runs that differ in nothing but method and seed."""
    return json.dumps({what: str(value(run)) for what, value in CONDITIONS}, sort_keys=True)


def differing_conditions(first: Iterable[RunRecord], second: Iterable[RunRecord]) -> list[str]:
    """Which of `CONDITIONS` are not the same in all runs of both; test sets of one name among them."""
    runs = [*first, *second]
    found = [what for what, value in CONDITIONS if len({str(value(run)) for run in runs}) > 1]
    sorts: dict[str, set[tuple[str, str | None]]] = {}
    for run in runs:
        for name, result in run.metrics.items():
            sorts.setdefault(name, set()).add((result.sha256, protocol_of(result)))
    return found + [f"test set {name}" for name, different in sorts.items() if len(different) > 1]


def _refuse(what: str, facts: Iterable[tuple[object, str | None, RunRecord]]) -> None:
    seen: dict[object, tuple[str | None, RunRecord]] = {}
    for among, value, run in facts:
        first_value, first = seen.setdefault(among, (value, run))
        if value != first_value:
            raise UserError(
                f"{_name(first)} and {_name(run)} differ in {what}, so no table averages or compares them: "
                "remove the outdated run, or see them all the same with 'noisebench table --allow-mixed'"
            )


def _name(run: RunRecord) -> str:
    return f"{run.suite}/{run.noise}/{run.method}/seed{run.seed}-{run.hash[:8]}"
