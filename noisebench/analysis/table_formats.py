"""Tables as Markdown, CSV and LaTeX: per cent, the best of each column in bold, the second in italics or underlined.

In CSV the numbers stay fractions in 0..1, a line a cell, with everything that Markdown says in a header or a mark.
"""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from noisebench.analysis.published import PublishedRow
from noisebench.analysis.significance import Column, Key
from noisebench.analysis.statistics import SIGNIFICANCE
from noisebench.analysis.table_json import tables_to_json
from noisebench.analysis.tables import ABSENT, Table
from noisebench.analysis.text import percent, pipe_table

CSV_FIELDS = (
    *("table", "method", "noise", "test_set", "metric", "mean", "std", "n", "low", "high", "interval"),
    *("against", "difference", "p", "p_holm", "verdict", "origin", "remark"),
    *("realised_noise", "selection", "seeds", "code"),
)
HEADING_WIDTH = 14
"""Letters of a line of a heading in LaTeX."""
PUBLISHED_NOTE = "Published numbers are of other data, networks and protocols, and nothing here is tested against them."


class Mark(NamedTuple):
    """How a cell stands out: 0 for the best of its column, 1 for the second, else None; and a sign for its test."""

    rank: int | None
    sign: str


def to_markdown(tables: Sequence[Table]) -> str:
    """The tables as Markdown, one under the other."""
    return "\n".join(_markdown(table) for table in tables)


def to_csv(tables: Sequence[Table]) -> str:
    """The numbers of the tables, a line a cell with `CSV_FIELDS`; below them what was published, by ``origin``."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows(_csv_lines(table))
    return stream.getvalue()


def to_latex(tables: Sequence[Table]) -> str:
    """The tables for a document that uses booktabs and graphicx, each a float with its header and notes below it."""
    return "\n".join(_latex(table) for table in tables)


FORMATS: dict[str, tuple[str, Callable[[Sequence[Table]], str]]] = {
    "markdown": (".md", to_markdown),
    "csv": (".csv", to_csv),
    "latex": (".tex", to_latex),
    "json": (".json", tables_to_json),
}
"""Ending and writer of every format."""


def marks_of(table: Table) -> dict[Key, Mark]:
    """How every cell stands out. Ranks go by the printed number; only of three methods is a second worth a mark."""
    marks = {}
    for column in table.columns:
        shown = {method: percent(cell.mean) for (method, other), cell in table.cells.items() if other == column}
        numbers = {text for text in shown.values() if not math.isnan(float(text))}
        order = sorted(numbers, key=float, reverse=not column.lower_is_better)
        places = order[: 0 if len(shown) < 2 else 1 if len(shown) < 3 else 2]
        for method, text in shown.items():
            marks[method, column] = Mark(places.index(text) if text in places else None, _sign(table, (method, column)))
    return marks


def _sign(table: Table, key: Key) -> str:
    test = table.tests.get(key)
    if test is None or all(other.p is None for other in table.tests.values()):
        return ""
    if test.p is None or test.result is None or test.result.difference is None:
        return "?"
    if test.p > SIGNIFICANCE:
        return "≈"
    if table.baseline is None:
        return ""
    return "▲" if test.result.difference.mean > 0 else "▼"


def _markdown(table: Table) -> str:
    marks = marks_of(table)
    rows = [["method", *(table.headings or ("status",))]]
    for method in table.methods:
        cells = [_cell(table, (method, column), marks, ("**{}**", "*{}*"), " ± ") for column in table.columns]
        rows.append([method, *cells])
    num_aligned = len(rows)  # a long reason does not stretch its column
    rows += [_published_row(table, row, f"{row.method}, published [{place}]") for place, row in _footnotes(table)]
    rows += [_unfinished_row(table, *run) for run in table.unfinished]
    lines = pipe_table(rows, num_aligned)
    header = [f"- {name}: {text}" for name, text in table.header.items()]
    notes = [*table.notes, *_published_notes(table)]
    below = [line for note in notes for line in ("", note)]
    return "\n".join([f"## {table.title}", "", *header, "", *lines, *below, ""])


def _cell(table: Table, key: Key, marks: dict[Key, Mark], styles: tuple[str, str], plus_minus: str) -> str:
    """A cell as text, with its mark."""
    if key not in table.cells:
        return ABSENT
    mark = marks[key]
    style = "{}" if mark.rank is None else styles[mark.rank]
    return f"{value_text(table, key, style, plus_minus)} {mark.sign}".rstrip()


def value_text(table: Table, key: Key, style: str = "{}", plus_minus: str = " ± ") -> str:
    """A cell's value as text: mean in a style, deviation or interval, and the number of seeds where cells differ in it.

    Args:
        table: The table.
        key: One of its ``cells``.
        style: What stands around the mean, with {} for it.
        plus_minus: What stands before the deviation.
    """
    summary = table.cells[key]
    text = style.format(percent(summary.mean))
    interval = table.interval_of(key) if table.interval is not None else None
    if interval is not None:
        text += f" [{percent(interval.low)}, {percent(interval.high)}]"
    elif summary.std is not None:
        text += plus_minus + percent(summary.std)
    return f"{text} (n = {summary.n})" if table.is_uneven else text


def _published_row(table: Table, row: PublishedRow, name: str) -> list[str]:
    return [name, *(row.cells.get(column, ABSENT) for column in table.columns)]


def _footnotes(table: Table) -> Iterator[tuple[int, PublishedRow]]:
    return enumerate(table.published, start=1)


def _published_notes(table: Table) -> list[str]:
    notes = [f"[{place}] {row.footnote}." for place, row in _footnotes(table)]
    return [PUBLISHED_NOTE, *notes] if notes else []


def _unfinished_row(table: Table, run: str, noise: str, state: str) -> list[str]:
    """A run's state in the first column of its noise."""
    place = next((position for position, column in enumerate(table.columns) if column.noise == noise), 0)
    cells = [ABSENT] * max(len(table.columns), 1)
    cells[place] = state
    return [run, *cells]


def _csv_lines(table: Table) -> Iterator[Mapping[str, object]]:
    origin = {
        "table": table.title,
        "realised_noise": table.header["Noise"],
        "selection": table.header["Weights"],
        "seeds": " ".join(table.seeds),
        "code": table.header["Code"],
    }
    for (method, column), cell in table.cells.items():
        line: dict[str, object] = {
            **origin,
            "origin": "measured",
            "method": method,
            **_places(column),
            **cell._asdict(),
        }
        interval = table.interval_of((method, column))
        if interval is not None:
            line |= {**interval._asdict(), "interval": table.interval or "t"}
        test = table.tests.get((method, column))
        if test is not None:
            line |= {"against": test.against, "verdict": test.verdict, "p_holm": test.p}
            if test.result is not None and test.result.difference is not None:
                line |= {"difference": test.result.difference.mean, "p": test.result.p}
        yield line
    for row in table.published:
        for column, value in row.cells.items():
            shared = {"table": table.title, "origin": "published", "method": row.method, "remark": row.footnote}
            yield shared | _places(column) | {"mean": f"{float(value.rstrip('+')) / 100:.6g}"}


def _places(column: Column) -> dict[str, str]:
    return {"noise": column.noise, "test_set": column.test_set, "metric": column.metric}


def _latex(table: Table) -> str:
    marks = marks_of(table)
    styles = ("\\textbf{{{}}}", "\\underline{{{}}}")
    rows = []
    for method in table.methods:
        cells = [_cell(table, (method, column), marks, styles, " $\\pm$ ") for column in table.columns]
        rows.append([escape(method), *(cell.translate(_LATEX_SYMBOLS) for cell in cells)])
    published = [
        [f"{escape(row.method)}, published [{place}]", *map(escape, _published_row(table, row, "")[1:])]
        for place, row in _footnotes(table)
    ]
    below = [f"{name}: {text}." for name, text in table.header.items()]
    below += [f"{run}, {noise}: {state}." for run, noise, state in table.unfinished]
    below += [*table.notes, *_published_notes(table)]
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escape(table.title)}}}",
        f"{_NO_WIDER}\\begin{{tabular}}{{l{'r' * max(len(table.headings), 1)}}}",
        "\\toprule",
        " & ".join(["method", *map(_stacked, table.headings or ("status",))]) + " \\\\",
    ]
    for part in (rows, published):
        if part:
            lines += ["\\midrule", *(" & ".join(row) + " \\\\" for row in part)]
    lines += ["\\bottomrule", "\\end{tabular}}", "", "\\medskip", "\\raggedright\\footnotesize"]
    lines += [f"{escape(line)}\\par" for line in below]
    return "\n".join([*lines, "\\end{table}", ""])


def _stacked(heading: str) -> str:
    """A heading in lines that are hardly wider than the numbers below it."""
    lines = textwrap.wrap(heading, HEADING_WIDTH, break_long_words=False, break_on_hyphens=False)
    stacked = " \\\\ ".join(map(escape, lines))
    return f"\\shortstack[r]{{{stacked}}}" if len(lines) > 1 else stacked


_NO_WIDER = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{"
"""Shrinks a table to the width of the text, and only one that is wider."""
_LATEX_SYMBOLS = str.maketrans(
    {
        "–": "--",
        "±": "$\\pm$",
        "≈": "$\\approx$",
        "▲": "$\\uparrow$",
        "▼": "$\\downarrow$",
        "×": "$\\times$",
        "λ": "$\\lambda$",
        "π": "$\\pi$",
        "（": "(",
        "）": ")",
    }
)
_LATEX_ESCAPES = _LATEX_SYMBOLS | str.maketrans(
    {
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "\n": " ",
    }
    | {character: f"\\{character}" for character in "&%$#_{}"}
)


def escape(text: str) -> str:
    """Text as LaTeX prints it: its special characters and the few signs that plain LaTeX lacks written out."""
    return text.translate(_LATEX_ESCAPES)
