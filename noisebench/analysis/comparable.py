"""Which runs may stand in one table: those that differ in nothing but what the table varies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from noisebench.bench.record import RunRecord
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
            noise, in the source or configuration of a method, or in a test set of one name; or one method was run
            twice with a seed.
    """
    for what, among, value in RULES:
        _refuse(what, ((among(run), value(run), run) for run in runs))
    _refuse("test set", ((name, result.sha256, run) for run in runs for name, result in run.metrics.items()))


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
