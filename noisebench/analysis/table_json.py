"""Tables for scripts: everything that their other formats say, and the value of every seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from noisebench.analysis.plain import to_json
from noisebench.analysis.significance import Test
from noisebench.analysis.tables import Table


def tables_to_json(tables: Sequence[Table]) -> str:
    """The tables as a JSON list; rates and their differences are fractions in 0..1."""
    return to_json([_content(table) for table in tables]) + "\n"


def _content(table: Table) -> dict[str, Any]:
    columns = zip(table.columns, table.headings, strict=True)
    return {
        "title": table.title,
        "header": table.header,
        "baseline": table.baseline,
        "interval": table.interval or "t",
        "methods": table.methods,
        "columns": [{"heading": heading, **column._asdict()} for column, heading in columns],
        "cells": list(_cells(table)),
        "unfinished": [{"run": run, "noise": noise, "state": state} for run, noise, state in table.unfinished],
        "published": [
            {"method": row.method, **column._asdict(), "percent": value, "footnote": row.footnote}
            for row in table.published
            for column, value in row.cells.items()
        ],
        "notes": table.notes,
    }


def _cells(table: Table) -> Iterator[dict[str, Any]]:
    for key, summary in table.cells.items():
        method, column = key
        yield {
            "method": method,
            **column._asdict(),
            **summary._asdict(),
            "interval": table.interval_of(key),
            "values": dict(table.measured[key].values),
            "test": _test(table.tests.get(key)),
        }


def _test(test: Test | None) -> dict[str, Any] | None:
    if test is None:
        return None
    result = test.result
    return {
        "against": test.against,
        "difference": result.difference.mean if result is not None and result.difference is not None else None,
        "p": result.p if result is not None else None,
        "p_holm": test.p,
        "verdict": test.verdict,
    }
