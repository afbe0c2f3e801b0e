"""Which cells of a table can be told apart: every method against the best of its column, or against a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from noisebench.analysis.statistics import Paired, holm, paired, summarise, verdict


class Column(NamedTuple):
    """What a column of a table holds: a metric on a test set, after training with a noise."""

    noise: str
    test_set: str
    metric: str

    @property
    def lower_is_better(self) -> bool:
        """Whether the least value is the best: of errors, and of what noise takes away."""
        return self.metric == "EER" or self.metric.startswith("drop")


Key = tuple[str, Column]
"""Method and column of a cell."""


@dataclass(frozen=True)
class Measured:
    """The values behind a cell.

    Attributes:
        values: The seed and the value of every run.
        conditions: Under what they were measured (see `noisebench.analysis.comparable.conditions`).
    """

    values: tuple[tuple[int, float], ...]
    conditions: frozenset[str]

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return summarise(value for _, value in self.values).mean


@dataclass(frozen=True)
class Test:
    """One cell against the reference of its column.

    Attributes:
        against: The method it is compared with.
        result: The comparison; None where the two were measured under different conditions.
        p: Its p-value after Holm's correction over the table; None where nothing could be tested.
    """

    against: str
    result: Paired | None
    p: float | None

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        return "measured under other conditions: no test" if self.result is None else verdict(self.result, self.p)


def best_of(column: Column, cells: Mapping[Key, float]) -> str | None:
    """The method with the best value of a column, the first of equal ones; None for a column without a number."""
    sign = -1 if column.lower_is_better else 1
    there = ((method, value) for (method, other), value in cells.items() if other == column)
    rivals = {method: sign * value for method, value in there if not math.isnan(value)}
    return max(rivals, key=rivals.__getitem__) if rivals else None


def tests_of(measured: Mapping[Key, Measured], baseline: str | None) -> dict[Key, Test]:
    """Test every cell against the baseline, or against the best of its column for None.

    All tests of one table are corrected together. A cell that is the reference itself, or has none, has no test.
    """
    compared: dict[Key, tuple[str, Paired | None]] = {}
    means = {key: cell.mean for key, cell in measured.items()}
    for column in dict.fromkeys(column for _, column in measured):
        reference = baseline if baseline is not None else best_of(column, means)
        if reference is None or (reference, column) not in measured:
            continue
        for method in [method for method, other in measured if other == column and method != reference]:
            pair = paired_alike(measured[method, column], measured[reference, column])
            compared[method, column] = (reference, pair)
    raw = {key: pair.p for key, (_, pair) in compared.items() if pair is not None and pair.p is not None}
    adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))
    return {key: Test(reference, pair, adjusted.get(key)) for key, (reference, pair) in compared.items()}


def explain(tests: Sequence[Test], baseline: str | None) -> tuple[str, ...]:
    """What a table's marks mean, in words; nothing for a table without a comparison."""
    if not tests:
        return ()
    num_tested = sum(test.p is not None for test in tests)
    if not num_tested:
        others = any(test.result is None for test in tests)
        reason = "the runs differ in code, backbone or training" if others else "no two methods share two seeds"
        return (f"Nothing is tested for chance: {reason}.",)
    comparisons = f"{num_tested} comparison{'s' if num_tested > 1 else ''}"
    how = f"paired t test over shared seeds, 5 %, Holm's correction over the table's {comparisons}"
    if baseline is None:
        notes = [
            f"≈ not distinguishable from the best of its column; unmarked: different from it ({how}). The best is "
            "chosen by the same runs, so the risk of a false difference is above 5 %; against a --baseline it is not."
        ]
    else:
        notes = [f"▲ above, ▼ below, ≈ not distinguishable from {baseline} ({how})."]
    if num_tested < len(tests):
        notes.append("? not tested: fewer than two seeds in common, or other code, backbone or training settings.")
    return tuple(notes)


def paired_alike(first: Measured, second: Measured) -> Paired | None:
    """Compare two methods seed by seed; None where they were measured under different conditions."""
    if first.conditions != second.conditions:
        return None
    return paired(dict(first.values), dict(second.values))
