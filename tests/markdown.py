"""Tables of the documentation, so that tests can hold its worked examples against the code."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def table_of(page: str, beginning: str) -> dict[str, list[str]]:
    """The columns, by heading, of the one table of a page whose first line begins like this."""
    lines = (REPOSITORY / page).read_text(encoding="utf-8").splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.startswith(beginning))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    headings, _, *cells = rows
    return {heading: list(column) for heading, column in zip(headings, zip(*cells, strict=True), strict=True)}
