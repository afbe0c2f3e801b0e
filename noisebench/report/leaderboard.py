"""The leaderboard: every method under every noise in one table, to be sorted and filtered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from noisebench.analysis.published import PublishedNumber
from noisebench.analysis.tables import Table, comparisons, distinct
from noisebench.bench.record import RunRecord
from noisebench.errors import UserError
from noisebench.report.tables import Cell, cells_of


@dataclass(frozen=True)
class Ranked:
    """The table of one noise, or why there is none.

    Attributes:
        records: The runs of one suite, data set and noise.
        tables: Their table; where runs may not be averaged, one for each finished run.
        refusal: Why they may not; "" where they may.
    """

    records: tuple[RunRecord, ...]
    tables: tuple[Table, ...]
    refusal: str


@dataclass(frozen=True)
class Place:
    """A row of the leaderboard; its cells are in the order of `Leaderboard.columns`."""

    method: str
    noise: str
    suite: str
    data: str
    seeds: str
    cells: list[Cell]


@dataclass(frozen=True)
class Leaderboard:
    """All rows, and the columns they have between them: test set and metric."""

    columns: tuple[tuple[str, str], ...]
    rows: list[Place]

    def choices(self, name: str) -> list[str]:
        """What the rows can be filtered by: the different entries under a name."""
        return sorted({getattr(row, name) for row in self.rows})


def ranked(records: Sequence[RunRecord], published: Sequence[PublishedNumber] = ()) -> Ranked:
    """The table of runs of one suite, data set and noise. What may not be averaged stands run by run."""
    try:
        return Ranked(tuple(records), tuple(comparisons(records, published=published)), "")
    except UserError as error:
        done = [record for record in records if record.status == "done"]
        single = tuple(table for record in done for table in comparisons([record]))
        return Ranked(tuple(records), single, str(error))


def leaderboard(groups: Iterable[Ranked]) -> Leaderboard:
    """One row for each method of each table."""
    groups = list(groups)
    tables = [table for group in groups for table in group.tables]
    columns = tuple(dict.fromkeys((column.test_set, column.metric) for table in tables for column in table.columns))
    rows = []
    for group in groups:
        first = group.records[0]
        for table in group.tables:
            cells = {(name, (column.test_set, column.metric)): cell for (name, column), cell in cells_of(table).items()}
            for method in table.methods:
                seeds = _seeds(group, table, method)
                values = [cells.get((method, column), Cell()) for column in columns]
                rows.append(Place(method, first.noise, first.suite, first.data.name, seeds, values))
    return Leaderboard(columns, rows)


def _seeds(group: Ranked, table: Table, method: str) -> str:
    if group.refusal:
        return f"seed {', '.join(table.seeds)} alone"
    done = [record for record in group.records if record.status == "done" and record.method == method]
    return ", ".join(distinct(str(record.seed) for record in done))
