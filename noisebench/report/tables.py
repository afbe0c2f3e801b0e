"""Tables as the page shows them: their cells as text, how each stands out, and what it is sorted by."""

from __future__ import annotations

from dataclasses import dataclass

from noisebench.analysis.published import PublishedRow
from noisebench.analysis.significance import Key
from noisebench.analysis.table_formats import PUBLISHED_NOTE, marks_of, value_text
from noisebench.analysis.tables import ABSENT, Table

RANKS = {0: "best", 1: "second", None: ""}


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: As printed.
        value: What it is sorted by; None sorts last.
        rank: "best", "second" or "".
        sign: What its test says.
        verdict: The same in words.
    """

    text: str = ABSENT
    value: float | None = None
    rank: str = ""
    sign: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Comparison:
    """A table of `noisebench.analysis.tables`, ready to print.

    Attributes:
        title: What is compared.
        header: What the numbers are of, by name.
        headings: Of the columns after the method.
        rows: The method and its cells.
        published: Published numbers: the method, its cells and its footnote.
        unfinished: Runs that are not done: name, noise, what became of them.
        notes: What the marks mean.
    """

    title: str
    header: dict[str, str]
    headings: tuple[str, ...]
    rows: list[tuple[str, list[Cell]]]
    published: list[tuple[str, list[str], str]]
    unfinished: tuple[tuple[str, str, str], ...]
    notes: list[str]


def comparison(table: Table) -> Comparison:
    """Turn a table into text."""
    cells = cells_of(table)
    return Comparison(
        title=table.title,
        header=table.header,
        headings=table.headings,
        rows=[(name, [cells.get((name, column), Cell()) for column in table.columns]) for name in table.methods],
        published=[_published(table, row) for row in table.published],
        unfinished=table.unfinished,
        notes=[*table.notes, *([PUBLISHED_NOTE] if table.published else [])],
    )


def cells_of(table: Table) -> dict[Key, Cell]:
    """The cells of a table that hold a number, by method and column."""
    marks = marks_of(table)
    cells = {}
    for key, summary in table.cells.items():
        mark = marks[key]
        verdict = f"{table.tests[key].verdict}, against {table.tests[key].against}" if mark.sign else ""
        cells[key] = Cell(value_text(table, key), summary.mean, RANKS[mark.rank], mark.sign, verdict)
    return cells


def _published(table: Table, row: PublishedRow) -> tuple[str, list[str], str]:
    return row.method, [row.cells.get(column, ABSENT) for column in table.columns], row.footnote
