"""How much a method loses to noise: area under accuracy over the noise rate, and drop against clean.

Noises whose names differ only in their numbers (closed10, closed20, ...) are a series; noise-free training begins it.
The area is that of the trapezoids between the realised rates, divided by their range: the mean accuracy over the
range, in which a method that holds out longer stands higher. It is taken seed by seed, over the seeds that a method has
at every rate of the series. Where a test set has no accuracy, its main metric stands for it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence

from noisebench.analysis.significance import Column, Key, Measured
from noisebench.analysis.tables import Table, build, distinct, group, main_metric, measure, rates_of
from noisebench.bench.record import RunRecord

AREA = "area under"
DROP = "drop against clean"


def robustness(
    records: Sequence[RunRecord], test_set: str, *, allow_mixed: bool = False, baseline: str | None = None
) -> list[Table]:
    """Method x (area, drop at each noise), one table for each suite, data set and series of noises.

    There is no table for a series of which nothing can be said, no area where two of its noises have the same rate,
    and no drop without a noise-free training.

    Raises:
        UserError: See `noisebench.analysis.comparable.refuse_mixed`.
    """
    done = [record for record in records if record.status == "done"]
    tables = []
    for runs in group(done, lambda record: (record.suite, record.data.fingerprint)).values():
        for series, rates in series_of(runs).items():
            table = _table(runs, series, rates, test_set, allow_mixed, baseline)
            if table is not None:
                tables.append(table)
    return tables


def area_under(accuracy_by_rate: Mapping[float, float]) -> float:
    """Mean of an accuracy over a range of noise rates, by trapezoids; there are two rates at least."""
    points = sorted(accuracy_by_rate.items())
    areas = [(right - left) * (low + high) / 2 for (left, low), (right, high) in itertools.pairwise(points)]
    return math.fsum(areas) / (points[-1][0] - points[0][0])


def series_of(runs: Sequence[RunRecord]) -> dict[str, dict[str, float]]:
    """The realised rates of the noises of each series, the lowest first; noise-free training is in all of them."""
    rates = {run.noise: rates_of(run).total for run in runs}
    clean = [noise for noise, rate in rates.items() if rate == 0][:1]
    series: dict[str, list[str]] = {}
    for noise, rate in rates.items():
        if rate > 0:
            series.setdefault(re.sub(r"\d+", "", noise), list(clean)).append(noise)
    return {
        name: {noise: rates[noise] for noise in sorted(noises, key=rates.__getitem__)}
        for name, noises in series.items()
    }


def _table(
    runs: Sequence[RunRecord],
    series: str,
    rates: Mapping[str, float],
    test_set: str,
    allow_mixed: bool,
    baseline: str | None,
) -> Table | None:
    part = [run for run in runs if run.noise in rates]
    metric = main_metric(part, test_set)
    accuracies = measure(part, [Column(noise, test_set, metric) for noise in rates], allow_mixed=allow_mixed)
    columns: dict[Column, str] = {}
    if 1 < len(rates) == len(set(rates.values())):
        span = f"{100 * min(rates.values()):.3g} to {100 * max(rates.values()):.3g} %"
        columns[Column(series, test_set, f"{AREA} {metric}")] = f"{AREA} {metric}, {span}"
    clean = next((noise for noise, rate in rates.items() if rate == 0), None)
    if clean is not None:
        columns |= {Column(noise, test_set, DROP): f"drop at {noise}" for noise in rates if noise != clean}
    cells: dict[Key, Measured] = {}
    for method in distinct(run.method for run in part):
        for column in columns:
            noises = list(rates) if _is_area(column) else [str(clean), column.noise]
            behind = [accuracies.get((method, Column(noise, test_set, metric))) for noise in noises]
            cell = _cell(column, [rates[noise] for noise in noises], [one for one in behind if one is not None])
            if cell is not None:
                cells[method, column] = cell
    if not cells:
        return None
    title = f"{runs[0].suite}, {runs[0].data.name}, {test_set} robustness to {series}"
    return build(part, cells, columns, title, allow_mixed=allow_mixed, baseline=baseline)


def _is_area(column: Column) -> bool:
    return column.metric.startswith(AREA)


def _cell(column: Column, rates: list[float], behind: list[Measured]) -> Measured | None:
    """The area or drop of a method, over the seeds it has at all of the rates."""
    if len(behind) < len(rates):
        return None
    by_seed = [dict(cell.values) for cell in behind]
    seeds = [seed for seed in by_seed[0] if all(seed in values for values in by_seed)]
    values = []
    for seed in seeds:
        accuracies = [values_of[seed] for values_of in by_seed]
        area_or_drop = (
            area_under(dict(zip(rates, accuracies, strict=True))) if _is_area(column) else accuracies[0] - accuracies[1]
        )
        values.append((seed, area_or_drop))
    met = frozenset().union(*(cell.conditions for cell in behind))
    return Measured(tuple(values), met) if values else None
