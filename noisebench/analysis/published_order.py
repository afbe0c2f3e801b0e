"""Whether methods stand in the order that print has them in: pair by pair, under noise of the same rates.

Print and these runs are of other data, networks and protocols, so their numbers cannot be set against each other; which
of two methods is the better one under a noise can. A pair is taken from one published table: its two rows, and the mean
of the accuracies over the test sets they share. Ours is the mean accuracy over our test sets, seed by seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from noisebench.analysis.published import PublishedNumber
from noisebench.analysis.significance import Measured, paired_alike
from noisebench.analysis.statistics import SIGNIFICANCE, Paired, holm, in_words, summarise
from noisebench.analysis.tables import ABSENT, ACCURACY, Column, distinct, group, measure, rates_of
from noisebench.analysis.text import flat, pipe_table, signed_percent
from noisebench.bench.record import RunRecord
from noisebench.errors import UserError


@dataclass(frozen=True)
class Pair:
    """Two methods that a published table and finished runs compare.

    Attributes:
        where: Suite, data set and noise of the runs.
        better: The method that is the better one in print, by the name it was run under.
        worse: The other one.
        printed: Both as they are printed.
        source: The published table.
        num_test_sets: Over how many test sets its means are.
        published: By how much the better one is ahead in print, in percentage points.
        ours: The better one less the worse one, fractions in 0..1; None where runs differ in code or training.
        p: Its p-value after Holm's correction over all pairs; None where nothing could be tested.
    """

    where: str
    better: str
    worse: str
    printed: tuple[str, str]
    source: str
    num_test_sets: int
    published: float
    ours: Paired | None
    p: float | None = None

    @property
    def order(self) -> str | None:
        """Ours against the published one: same, reversed or equal; None where there is nothing to compare."""
        if self.ours is None or self.ours.difference is None:
            return None
        mean = self.ours.difference.mean
        return "same" if mean > 0 else "reversed" if mean < 0 else "equal"

    @property
    def is_sure(self) -> bool:
        """Whether ours is more than chance."""
        return self.p is not None and self.p <= SIGNIFICANCE

    @property
    def verdict(self) -> str:
        """What our runs say of the published order."""
        if self.order is None:
            return "measured under other conditions: no test" if self.ours is None else "no seed in common"
        if self.p is None:
            return f"{self.order}, one seed: no test"
        return f"{self.order} ({in_words(self.p)})" if self.is_sure else f"{self.order}, within chance"


def published_order(records: Iterable[RunRecord], numbers: Sequence[PublishedNumber]) -> list[Pair]:
    """All pairs of methods that finished runs and a published table have in common under one noise.

    Pairs of one noise come together, in the order of the records, and then of the published file.

    Args:
        records: Runs; those that are not done are left out.
        numbers: Of `noisebench.analysis.published.read_published`.

    Raises:
        UserError: The runs share no pair with a published table, or may not be averaged (see `refuse_mixed`).
    """
    done = [record for record in records if record.status == "done"]
    groups = group(done, lambda record: (record.suite, record.data.fingerprint, record.noise))
    pairs = [pair for runs in groups.values() for pair in _pairs(runs, numbers)]
    if not pairs:
        raise UserError("no two methods with finished runs stand in one published table under noise of the same rates")
    raw = {place: pair.ours.p for place, pair in enumerate(pairs) if pair.ours is not None}
    tested = {place: p for place, p in raw.items() if p is not None}
    for place, p in zip(tested, holm(list(tested.values())), strict=True):
        pairs[place] = replace(pairs[place], p=p)
    return pairs


def order_text(pairs: Sequence[Pair]) -> str:
    """The pairs as Markdown, a table a noise, and what they come to."""
    parts = []
    for where in distinct(pair.where for pair in pairs):
        heading = ["in print", "better than", "by", "test sets", "here", "95 % interval", "order", "source"]
        rows = [_row(pair) for pair in pairs if pair.where == where]
        parts.append("\n".join([f"## {where}", "", *pipe_table([heading, *rows])]))
    return "\n\n".join([*parts, _summary(pairs)]) + "\n"


def order_content(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The same for scripts, for `noisebench.analysis.plain.to_json`."""
    return [{**vars(pair), "verdict": pair.verdict} for pair in pairs]


def _pairs(runs: list[RunRecord], numbers: Sequence[PublishedNumber]) -> Iterator[Pair]:
    first = runs[0]
    where = f"{first.suite}, {first.data.name}, {first.noise}"
    ours = _accuracies(runs)
    rates = rates_of(first)
    tables: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for number in numbers:
        if number.our_metric == ACCURACY and number.has_noise(rates, first.data.name):
            tables.setdefault(_table_of(number), []).append(number)
    for (source, *_), table in tables.items():
        rows = [(name, row) for row in _rows(table) for name in _names(row[0], runs) if name in ours]
        for (one, first_row), (other, second_row) in combinations(rows, 2):
            ahead, num_test_sets = _ahead(first_row, second_row)
            if first_row[0].our_method == second_row[0].our_method or not ahead:
                continue
            printed = (first_row[0].method, second_row[0].method)
            better, worse = (one, other) if ahead > 0 else (other, one)
            yield Pair(
                where=where,
                better=better,
                worse=worse,
                printed=printed if ahead > 0 else printed[::-1],
                source=source,
                num_test_sets=num_test_sets,
                published=abs(ahead),
                ours=paired_alike(ours[better], ours[worse]),
            )


def _accuracies(runs: list[RunRecord]) -> dict[str, Measured]:
    """Mean accuracy over all test sets by method; a seed that lacks one of them is left out."""
    test_sets = distinct(name for run in runs for name in run.metrics)
    measured = measure(runs, [Column(runs[0].noise, name, ACCURACY) for name in test_sets])
    num_columns = len({column for _, column in measured})
    found = {}
    for method in distinct(method for method, _ in measured):
        cells = [cell for (name, _), cell in measured.items() if name == method]
        by_seed: dict[int, list[float]] = {}
        for seed, value in (value for cell in cells for value in cell.values):
            by_seed.setdefault(seed, []).append(value)
        means = [(seed, summarise(values).mean) for seed, values in by_seed.items() if len(values) == num_columns]
        found[method] = Measured(tuple(means), frozenset().union(*(cell.conditions for cell in cells)))
    return found


def _names(number: PublishedNumber, runs: list[RunRecord]) -> tuple[str, ...]:
    """The names under which a published method was run: its own, or those of recipes for it."""
    same = (run for run in runs if number.our_method in (run.method, flat(run.config).get("method.name")))
    return distinct(run.method for run in same)


def _table_of(number: PublishedNumber) -> tuple[str, ...]:
    """What tells a published table from others: its document, experiment, noise, and the loss below a wrapper.

    A table such as Noise-Tolerant's has its methods on top of several losses: "CNN_m1 + Arcface" is compared with
    "CNN_common + Arcface".
    """
    document = re.sub(r":\d.*", "", number.source)
    below = number.method.partition(" + ")[2]
    return (document, number.backbone, number.train_data, number.noise_closed, number.noise_open, below)


def _rows(numbers: list[PublishedNumber]) -> list[list[PublishedNumber]]:
    """The numbers of each row of a table."""
    rows: dict[str, list[PublishedNumber]] = {}
    for number in numbers:
        rows.setdefault(number.method, []).append(number)
    return list(rows.values())


def _ahead(one: list[PublishedNumber], other: list[PublishedNumber]) -> tuple[float, int]:
    """By how many points the first row is ahead, as a mean over the test sets both have, and how many these are."""
    first, second = (_by_test_set(row) for row in (one, other))
    shared = [name for name in first if name in second]
    if not shared:
        return 0.0, 0
    return summarise(first[name] - second[name] for name in shared).mean, len(shared)


def _by_test_set(row: list[PublishedNumber]) -> Mapping[str, float]:
    return {number.testset: float(number.percent.rstrip("+")) for number in reversed(row)}


def _row(pair: Pair) -> list[str]:
    start = [*pair.printed, f"{pair.published:.2f}", str(pair.num_test_sets)]
    ours = pair.ours
    mean = signed_percent(ours.difference.mean) if ours is not None and ours.difference is not None else ABSENT
    interval = ours.interval if ours is not None else None
    reach = f"{signed_percent(interval.low)} to {signed_percent(interval.high)}" if interval is not None else ABSENT
    return [*start, mean, reach, pair.verdict, pair.source]


def _summary(pairs: Sequence[Pair]) -> str:
    by_order = {order: [pair for pair in pairs if pair.order == order] for order in ("same", "reversed", "equal")}
    told = [
        f"{len(those)} {order} ({sum(pair.is_sure for pair in those)} beyond chance)"
        for order, those in by_order.items()
        if those
    ]
    return (
        f"{len(pairs)} pairs: {', '.join(told)}. Percentage points of accuracy; 'here' is the better one in print less "
        "the other, by the paired t test over shared seeds, 5 %, Holm's correction over all pairs. Print has one run a "
        "row, so the order in print is itself not sure."
    )
