"""Comparison tables of runs: mean ± sample standard deviation over seeds, and which differences are more than chance.

`comparisons` sets methods against test sets, one table for each suite, data set and noise; `overviews` sets methods
against noises for one test set. Runs that may not be averaged are refused, and a run that is not done stands in its
table with the reason. `noisebench.analysis.table_formats` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from noisebench.analysis.comparable import conditions, refuse_mixed
from noisebench.analysis.published import PublishedNumber, PublishedRow, Rates, beside
from noisebench.analysis.significance import Column, Key, Measured, Test, explain, tests_of
from noisebench.analysis.statistics import (
    RESAMPLES,
    Interval,
    IntervalKind,
    Summary,
    bootstrap_interval,
    interval_of,
    summarise,
)
from noisebench.bench.record import RunRecord, TestMetrics

__all__ = ["ACCURACY", "FAR", "TAR", "Column", "Table", "build", "comparisons", "overviews", "with_interval"]

ACCURACY = "accuracy"
FAR = "0.001"
TAR = f"TAR@FAR={FAR}"
ABSENT = "–"
INTERVALS: dict[IntervalKind, str] = {
    "t": "95 % interval of Student's t",
    "bootstrap": f"95 % bootstrap interval, {RESAMPLES:,} resamples",
}
KeyT = TypeVar("KeyT")


@dataclass(frozen=True)
class Table:
    """A comparison of methods.

    Attributes:
        title: What is compared.
        header: What the numbers are of, by name.
        methods: The rows, in order.
        columns: The columns, in order.
        headings: What is written above each column.
        measured: The values behind each cell, fractions in 0..1; (method, column) is missing where there are none.
        cells: Their summaries.
        unfinished: Runs that are not done: (run, noise, what became of it).
        tests: Cells against the best of their column, or against the baseline.
        baseline: The method that is tested against; None for the best of each column.
        seeds: Those of the finished runs.
        published: Published numbers that may stand below.
        notes: What the marks mean, and what could not be tested.
        interval: What is printed with each mean; None for the standard deviation.
    """

    title: str
    header: dict[str, str]
    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    headings: tuple[str, ...]
    measured: Mapping[Key, Measured]
    cells: dict[Key, Summary]
    unfinished: tuple[tuple[str, str, str], ...]
    tests: dict[Key, Test]
    baseline: str | None
    seeds: tuple[str, ...]
    published: tuple[PublishedRow, ...]
    notes: tuple[str, ...]
    interval: IntervalKind | None = None

    def interval_of(self, key: Key) -> Interval | None:
        """The 95 % interval of a cell's mean, of Student's t unless the table has another; None for one seed."""
        if self.interval == "bootstrap":
            return bootstrap_interval([value for _, value in self.measured[key].values])
        return interval_of(self.cells[key])

    @cached_property
    def is_uneven(self) -> bool:
        """Whether the cells are of different numbers of seeds."""
        return len({cell.n for cell in self.cells.values()}) > 1

    @property
    def noises(self) -> tuple[str, ...]:
        """The noises compared, done or not."""
        return distinct([*(column.noise for column in self.columns), *(noise for _, noise, _ in self.unfinished)])


def comparisons(
    records: Iterable[RunRecord],
    *,
    allow_mixed: bool = False,
    baseline: str | None = None,
    published: Sequence[PublishedNumber] = (),
) -> list[Table]:
    """Method x test set, one table for each (suite, data set, noise); all in the order of the records.

    Args:
        records: Runs, done or not.
        allow_mixed: Compare and average even what `refuse_mixed` refuses; then nothing is tested.
        baseline: Test against this method, not against the best of each column.
        published: Numbers of which those of the same method, noise and test set are set below.

    Raises:
        UserError: See `refuse_mixed`.
    """
    groups = group(records, lambda record: (record.suite, record.data.fingerprint, record.noise))
    return [_comparison(runs, allow_mixed, baseline, published) for runs in groups.values()]


def overviews(
    records: Iterable[RunRecord],
    test_set: str,
    *,
    allow_mixed: bool = False,
    baseline: str | None = None,
    published: Sequence[PublishedNumber] = (),
) -> list[Table]:
    """Method x noise for a test set's main metric, one table for each (suite, data set); the rest as `comparisons`."""
    groups = group(records, lambda record: (record.suite, record.data.fingerprint))
    return [_overview(runs, test_set, allow_mixed, baseline, published) for runs in groups.values()]


def with_interval(table: Table, kind: IntervalKind | None) -> Table:
    """The table, with a 95 % interval beside each mean in place of the standard deviation; None changes nothing."""
    if kind is None:
        return table
    header = table.header | {"Values": _values_in_words(list(table.cells.values()), table.seeds, INTERVALS[kind])}
    return replace(table, interval=kind, header=header)


def build(
    records: Sequence[RunRecord],
    measured: Mapping[Key, Measured],
    columns: Mapping[Column, str],
    title: str,
    *,
    allow_mixed: bool = False,
    baseline: str | None = None,
    published: Sequence[PublishedNumber] = (),
) -> Table:
    """A table of values that were taken from runs.

    Args:
        records: The runs, done or not.
        measured: What each cell holds.
        columns: The columns in order, each with its heading.
        title: What is compared.
        allow_mixed: The runs are mixed, so nothing is tested.
        baseline: As for `comparisons`.
        published: As for `comparisons`.
    """
    done = [record for record in records if record.status == "done"]
    methods = distinct(record.method for record in done)
    cells = {key: summarise(value for _, value in cell.values) for key, cell in measured.items()}
    tests = {} if allow_mixed else tests_of(measured, baseline)
    notes = explain(list(tests.values()), baseline)
    if allow_mixed and len(methods) > 1:
        notes = ("Nothing is tested for chance: runs of different code or manifests may be mixed.",)
    elif baseline is not None and baseline not in methods:
        notes = (f"Nothing is tested for chance: no run of the baseline {baseline} is done.",)
    rates = {record.noise: rates_of(record) for record in records}
    return Table(
        title=title,
        header=_header(records, done, list(cells.values())),
        methods=methods,
        columns=tuple(columns),
        headings=tuple(columns.values()),
        measured=measured,
        cells=cells,
        unfinished=tuple(_unfinished(record) for record in records if record.status != "done"),
        tests=tests,
        baseline=baseline,
        seeds=distinct(str(record.seed) for record in done),
        published=beside(published, methods, tuple(columns), rates, records[0].data.name),
        notes=notes,
    )


def measure(done: Iterable[RunRecord], columns: Iterable[Column], *, allow_mixed: bool = False) -> dict[Key, Measured]:
    """The values of finished runs by method and column, in the order of the runs.

    Raises:
        UserError: See `refuse_mixed`.
    """
    records = list(done)
    if not allow_mixed:
        refuse_mixed(records)
    cells = {}
    for (method, noise), runs in group(records, lambda record: (record.method, record.noise)).items():
        for column in columns:
            values = _values(runs, column) if column.noise == noise else ()
            if values:
                cells[method, column] = Measured(values, frozenset(conditions(run) for run in runs))
    return cells


def rates_of(record: RunRecord) -> Rates:
    """The realised rates of noise in what a run was shown."""
    if (by_batch := record.noise_per_batch) is not None:
        return Rates(by_batch.closed / by_batch.batch_size, by_batch.open / by_batch.batch_size)
    total = sum(record.noise_counts.values())
    return Rates(*(record.noise_counts.get(kind, 0) / max(total, 1) for kind in ("closed", "open")))


def values_of(result: TestMetrics) -> dict[str, float]:
    """All rates of a result by the names that tables call them, as far as its protocol has them."""
    named = {ACCURACY: result.accuracy} | {f"TAR@FAR={far}": tar for far, tar in result.tar_at_far.items()}
    named |= result.identification | {"AUC": result.auc, "EER": result.eer}
    return {name: value for name, value in named.items() if value is not None}


def main_metric(records: Iterable[RunRecord], test_set: str) -> str:
    """The one metric to tell of a test set: accuracy or, where its protocol has none, the first there is."""
    results = [record.metrics[test_set] for record in records if test_set in record.metrics]
    names = distinct(name for result in results for name in values_of(result))
    return ACCURACY if ACCURACY in names or not names else names[0]


def group(records: Iterable[RunRecord], key: Callable[[RunRecord], KeyT]) -> dict[KeyT, list[RunRecord]]:
    """The records by a key, keys and records in the order they come."""
    groups: dict[KeyT, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once, in the order they come."""
    return tuple(dict.fromkeys(names))


def _comparison(
    records: list[RunRecord], allow_mixed: bool, baseline: str | None, published: Sequence[PublishedNumber]
) -> Table:
    first = records[0]
    test_sets = distinct(name for record in records for name in record.metrics)
    names = [Column(first.noise, test_set, metric) for test_set in test_sets for metric in _metrics(records, test_set)]
    columns = {column: f"{column.test_set} {column.metric}" for column in names}
    noise = f"{first.noise} (noise per batch)" if first.noise_per_batch is not None else first.noise
    title = f"{first.suite}, {first.data.name}, {noise}"
    measured = measure(_done(records), columns, allow_mixed=allow_mixed)
    return build(records, measured, columns, title, allow_mixed=allow_mixed, baseline=baseline, published=published)


def _overview(
    records: list[RunRecord],
    test_set: str,
    allow_mixed: bool,
    baseline: str | None,
    published: Sequence[PublishedNumber],
) -> Table:
    first = records[0]
    metric = main_metric(records, test_set)
    columns = {Column(noise, test_set, metric): noise for noise in distinct(record.noise for record in records)}
    title = f"{first.suite}, {first.data.name}, {test_set} {metric}"
    measured = measure(_done(records), columns, allow_mixed=allow_mixed)
    return build(records, measured, columns, title, allow_mixed=allow_mixed, baseline=baseline, published=published)


def _metrics(records: list[RunRecord], test_set: str) -> tuple[str, ...]:
    """The metrics to tell of a test set: two of a verification in folds, of other protocols all."""
    if main_metric(records, test_set) == ACCURACY:
        return ACCURACY, TAR
    results = [record.metrics[test_set] for record in records if test_set in record.metrics]
    return distinct(name for result in results for name in values_of(result))


def _done(records: Iterable[RunRecord]) -> list[RunRecord]:
    return [record for record in records if record.status == "done"]


def _values(runs: list[RunRecord], column: Column) -> tuple[tuple[int, float], ...]:
    results = [(run.seed, run.metrics[column.test_set]) for run in runs if column.test_set in run.metrics]
    values = [(seed, values_of(result).get(column.metric)) for seed, result in results]
    return tuple((seed, value) for seed, value in values if value is not None)


def _unfinished(record: RunRecord) -> tuple[str, str, str]:
    state = f"{record.status}: {record.reason}" if record.reason else record.status
    return f"{record.method}, seed {record.seed}", record.noise, state


def _header(records: Sequence[RunRecord], done: list[RunRecord], cells: list[Summary]) -> dict[str, str]:
    """What the numbers of a table are of; where runs differ, everything they are of."""
    data = records[0].data
    seeds = distinct(str(record.seed) for record in done)
    return {
        "Suite": records[0].suite,
        "Data": f"{data.name}: {data.num_images:,} images of {data.num_classes:,} identities ({data.fingerprint[:8]})",
        "Noise": "; ".join(distinct(noise_in_words(record) for record in records)),
        "Values": _values_in_words(cells, seeds, "± sample standard deviation"),
        "Weights": "; ".join(distinct(record.selection for record in records)) + " epoch",
        "Epochs": "; ".join(distinct(str(len(record.history)) for record in done)) or ABSENT,
        "Precision": "; ".join(distinct(record.precision for record in records)),
        "Code": "; ".join(distinct(code_in_words(record) for record in records)),
    }


def _values_in_words(cells: list[Summary], seeds: Sequence[str], spread: str) -> str:
    numbers = distinct(str(cell.n) for cell in cells)
    over = f"n = {numbers[0]}" if len(numbers) == 1 else "n"
    spread = spread if spread.startswith("±") else f"[{spread}]"
    return f"per cent, mean {spread} over {over} seeds ({', '.join(seeds) or 'none done'})"


def noise_in_words(record: RunRecord) -> str:
    """The noise of a run and its realised rates."""
    if record.noise_per_batch is not None:
        return f"{record.noise}: {record.noise_per_batch}"
    total = sum(record.noise_counts.values())
    shares = [
        f"{count / total:.2%} {kind}-set ({count:,} images)"
        for kind, count in record.noise_counts.items()
        if kind != "clean" and count
    ]
    return f"{record.noise}: {', '.join(shares) or 'no label changed'}"


def code_in_words(record: RunRecord) -> str:
    """Which noisebench made a run, with which packages."""
    code = record.code
    packages = "".join(f", {package}" for package in distinct(f"{one.package} {one.version}" for one in code.plugins))
    if code.git_commit is None:
        return f"noisebench {code.version} ({code.sha256[:8]}){packages}"
    changes = " with changes" if code.git_dirty else ""
    return f"noisebench {code.version}, commit {code.git_commit[:12]}{changes}{packages}"
