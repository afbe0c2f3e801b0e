"""Small pieces of Markdown that several pages are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def pipe_table(rows: Sequence[Sequence[str]], num_aligned: int | None = None) -> list[str]:
    """The lines of a Markdown table whose first row is its heading.

    Args:
        rows: Its cells.
        num_aligned: Only so many rows, heading included, widen their columns; None for all.
    """
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells[:num_aligned], strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return [f"| {' | '.join(row)} |" for row in padded]


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as text by dotted key, as in ``training.epochs``."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = str(value)
    return found


def percent(fraction: float) -> str:
    """A fraction in per cent, two digits."""
    return f"{100 * fraction:.2f}"


def signed_percent(fraction: float) -> str:
    """A difference of fractions in percentage points, two digits; what rounds to nothing is +0.00."""
    return f"{round(100 * fraction, 2) + 0.0:+.2f}"
