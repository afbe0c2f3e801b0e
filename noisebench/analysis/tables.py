"""Comparison tables of runs, as Markdown and CSV: mean ± sample standard deviation over seeds.

`comparisons` sets methods against test sets, one table for each suite, data set and noise; `overviews` sets methods
against noises for one test set. Runs that may not be averaged are refused, and a run that is not done stands in its
table with the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from noisebench.analysis.comparable import refuse_mixed
from noisebench.analysis.statistics import Summary, summarise
from noisebench.bench.record import RunRecord, TestMetrics
from noisebench.files import whole_file, write_text

ACCURACY = "accuracy"
FAR = "0.001"
TAR = f"TAR@FAR={FAR}"
ABSENT = "–"
KeyT = TypeVar("KeyT")


class Column(NamedTuple):
    """What a column of a table holds: a metric on a test set, after training with a noise."""

    noise: str
    test_set: str
    metric: str


@dataclass(frozen=True)
class Table:
    """A comparison of methods.

    Attributes:
        title: What is compared.
        header: What the numbers are of, by name.
        methods: The rows, in order.
        columns: The columns, in order.
        headings: What is written above each column.
        cells: Summaries of fractions in 0..1; (method, column) is missing where there is nothing to tell.
        unfinished: Runs that are not done: (run, noise, what became of it).
    """

    title: str
    header: dict[str, str]
    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    headings: tuple[str, ...]
    cells: dict[tuple[str, Column], Summary]
    unfinished: tuple[tuple[str, str, str], ...]

    @property
    def noises(self) -> tuple[str, ...]:
        """The noises compared, done or not."""
        return _distinct([*(column.noise for column in self.columns), *(noise for _, noise, _ in self.unfinished)])


def comparisons(records: Iterable[RunRecord], *, allow_mixed: bool = False) -> list[Table]:
    """Method x test set, one table for each (suite, data set, noise); all in the order of the records.

    Args:
        records: Runs, done or not.
        allow_mixed: Compare and average even what `refuse_mixed` refuses.

    Raises:
        UserError: See `refuse_mixed`.
    """
    groups = _groups(records, lambda record: (record.suite, record.data.fingerprint, record.noise))
    return [_comparison(group, allow_mixed) for group in groups.values()]


def overviews(records: Iterable[RunRecord], test_set: str, *, allow_mixed: bool = False) -> list[Table]:
    """Method x noise, the accuracy on one test set, one table for each (suite, data set); the rest as `comparisons`."""
    groups = _groups(records, lambda record: (record.suite, record.data.fingerprint))
    return [_overview(group, test_set, allow_mixed) for group in groups.values()]


def to_markdown(tables: Sequence[Table]) -> str:
    """The tables as Markdown, one under the other: per cent, the best of each column in bold."""
    return "\n".join(_markdown(table) for table in tables)


def write_markdown(tables: Sequence[Table], path: Path) -> None:
    """Write the tables as Markdown, whole or not at all."""
    write_text(path, to_markdown(tables))


def write_csv(tables: Sequence[Table], path: Path) -> None:
    """Write the numbers of the tables, a line a cell; they stay fractions in 0..1."""
    names = ["table", "method", "noise", "test_set", "metric", "mean", "std", "n"]
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for table in tables:
            writer.writerows([table.title, method, *column, *cell] for (method, column), cell in table.cells.items())


def _comparison(records: list[RunRecord], allow_mixed: bool) -> Table:
    first = records[0]
    test_sets = _distinct(name for record in records for name in record.metrics)
    columns = tuple(Column(first.noise, test_set, metric) for test_set in test_sets for metric in (ACCURACY, TAR))
    headings = tuple(f"{column.test_set} {column.metric}" for column in columns)
    noise = f"{first.noise} (noise per batch)" if first.noise_per_batch is not None else first.noise
    return _table(records, columns, headings, f"{first.suite}, {first.data.name}, {noise}", allow_mixed)


def _overview(records: list[RunRecord], test_set: str, allow_mixed: bool) -> Table:
    first = records[0]
    noises = _distinct(record.noise for record in records)
    columns = tuple(Column(noise, test_set, ACCURACY) for noise in noises)
    return _table(records, columns, noises, f"{first.suite}, {first.data.name}, {test_set} {ACCURACY}", allow_mixed)


def _table(
    records: list[RunRecord], columns: tuple[Column, ...], headings: tuple[str, ...], title: str, allow_mixed: bool
) -> Table:
    done = [record for record in records if record.status == "done"]
    if not allow_mixed:
        refuse_mixed(done)
    groups = _groups(done, lambda record: (record.method, record.noise))
    cells = {}
    for (method, noise), runs in groups.items():
        for column in columns:
            values = _values(runs, column) if column.noise == noise else []
            if values:
                cells[method, column] = summarise(values)
    return Table(
        title=title,
        header=_header(records, done, list(cells.values())),
        methods=_distinct(record.method for record in done),
        columns=columns,
        headings=headings,
        cells=cells,
        unfinished=tuple(_unfinished(record) for record in records if record.status != "done"),
    )


def _values(runs: list[RunRecord], column: Column) -> list[float]:
    results = [run.metrics[column.test_set] for run in runs if column.test_set in run.metrics]
    return [value for value in (_value(result, column.metric) for result in results) if value is not None]


def _value(result: TestMetrics, metric: str) -> float | None:
    return result.accuracy if metric == ACCURACY else result.tar_at_far.get(FAR)


def _unfinished(record: RunRecord) -> tuple[str, str, str]:
    state = f"{record.status}: {record.reason}" if record.reason else record.status
    return f"{record.method}, seed {record.seed}", record.noise, state


def _header(records: list[RunRecord], done: list[RunRecord], cells: list[Summary]) -> dict[str, str]:
    """What the numbers of a table are of; where runs differ, everything they are of."""
    data = records[0].data
    seeds = _distinct(str(record.seed) for record in done)
    numbers = _distinct(str(cell.n) for cell in cells)
    over = f"n = {numbers[0]}" if len(numbers) == 1 else "n"
    return {
        "Suite": records[0].suite,
        "Data": f"{data.name}: {data.num_images:,} images of {data.num_classes:,} identities ({data.fingerprint[:8]})",
        "Noise": "; ".join(_distinct(_rates(record) for record in records)),
        "Values": f"per cent, mean ± sample standard deviation over {over} seeds ({', '.join(seeds) or 'none done'})",
        "Weights": "; ".join(_distinct(record.selection for record in records)) + " epoch",
        "Epochs": "; ".join(_distinct(str(len(record.history)) for record in done)) or ABSENT,
        "Precision": "; ".join(_distinct(record.precision for record in records)),
        "Code": "; ".join(_distinct(_code(record) for record in records)),
    }


def _rates(record: RunRecord) -> str:
    """The noise and its realised rates."""
    if record.noise_per_batch is not None:
        return f"{record.noise}: {record.noise_per_batch}"
    total = sum(record.noise_counts.values())
    shares = [
        f"{count / total:.2%} {kind}-set ({count:,} images)"
        for kind, count in record.noise_counts.items()
        if kind != "clean" and count
    ]
    return f"{record.noise}: {', '.join(shares) or 'no label changed'}"


def _code(record: RunRecord) -> str:
    code = record.code
    if code.git_commit is None:
        return f"noisebench {code.version} ({code.sha256[:8]})"
    return f"noisebench {code.version}, commit {code.git_commit[:12]}" + (" with changes" if code.git_dirty else "")


def _markdown(table: Table) -> str:
    rows = [["method", *(table.headings or ("status",))]]
    rows += [[method, *(_cell(table, method, column) for column in table.columns)] for method in table.methods]
    rows += [_unfinished_row(table, *run) for run in table.unfinished]
    rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    aligned = rows[: 1 + len(table.methods)]  # a long reason does not stretch its column
    widths = [max(map(len, column)) for column in zip(*aligned, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    header = [f"- {name}: {text}" for name, text in table.header.items()]
    return "\n".join([f"## {table.title}", "", *header, "", *lines, ""])


def _cell(table: Table, method: str, column: Column) -> str:
    summary = table.cells.get((method, column))
    if summary is None:
        return ABSENT
    rivals = [cell.mean for (_, other), cell in table.cells.items() if other == column]
    text = _percent(summary.mean)
    if len(rivals) > 1 and text == _percent(max(rivals)):
        text = f"**{text}**"
    if summary.std is not None:
        text += f" ± {_percent(summary.std)}"
    several = len({cell.n for cell in table.cells.values()}) > 1
    return f"{text} (n = {summary.n})" if several else text


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _unfinished_row(table: Table, run: str, noise: str, state: str) -> list[str]:
    """A run's state in the first column of its noise."""
    place = next((position for position, column in enumerate(table.columns) if column.noise == noise), 0)
    cells = [ABSENT] * max(len(table.columns), 1)
    cells[place] = state
    return [run, *cells]


def _groups(records: Iterable[RunRecord], key: Callable[[RunRecord], KeyT]) -> dict[KeyT, list[RunRecord]]:
    groups: dict[KeyT, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
