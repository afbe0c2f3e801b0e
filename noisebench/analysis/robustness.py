"""How much a method loses to noise: area under accuracy over the noise rate, and drop against clean.

Noises that differ in nothing but how much there is of them are a series, which noise-free training begins: closed10,
closed20, ... or, of both kinds in one proportion, c10o10, c20o20, ... The area is that of the trapezoids between the
realised rates, divided by their range: the mean accuracy over the range, in which a method that holds out longer stands
higher. It is taken seed by seed, over the seeds that a method has at every rate of the series. Where a test set has no
accuracy, its main metric stands for it.
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
MIN_NOISES = 2
"""Noises of a series, without the noise-free training, below which it is no series to draw a line or an area of."""
_TWO_RATES = re.compile(r"(?P<before>\D*?)(?:(?<![a-z])c)?(?P<closed>\d+)o(?P<open>\d+)(?P<after>\D*)")


def robustness(
    records: Sequence[RunRecord], test_set: str, *, allow_mixed: bool = False, baseline: str | None = None
) -> list[Table]:
    """Method x (area over each series, drop at each noise), one table for each suite and data set.

    There is no area over a series of a single noise, or where two of its noises have the same rate, and no drop without
    a noise-free training.

    Raises:
        UserError: See `noisebench.analysis.comparable.refuse_mixed`.
    """
    done = [record for record in records if record.status == "done"]
    groups = group(done, lambda record: (record.suite, record.data.fingerprint)).values()
    tables = (_table(runs, test_set, allow_mixed, baseline) for runs in groups)
    return [table for table in tables if table is not None]


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
            series.setdefault(series_name(noise), list(clean)).append(noise)
    return {
        name: {noise: rates[noise] for noise in sorted(noises, key=rates.__getitem__)}
        for name, noises in series.items()
    }


def is_line(rates: Mapping[str, float]) -> bool:
    """Whether a series of `series_of` has enough noises, at rates of their own, to draw a line through."""
    return sum(rate > 0 for rate in rates.values()) >= MIN_NOISES and len(set(rates.values())) == len(rates)


def series_name(noise: str) -> str:
    """What the noises of a series have in common in their names: closed30 is "closed", c10o30 "closed and open 1:3"."""
    two = _TWO_RATES.fullmatch(noise)
    if two is None:
        return re.sub(r"\d+", "", noise).strip("_-") or noise
    closed, open_ = int(two["closed"]), int(two["open"])
    divisor = math.gcd(closed, open_) or 1
    parts = (two["before"], f"closed and open {closed // divisor}:{open_ // divisor}", two["after"])
    return " ".join(part.strip("_-") for part in parts if part.strip("_-"))


def _table(runs: Sequence[RunRecord], test_set: str, allow_mixed: bool, baseline: str | None) -> Table | None:
    metric = main_metric(runs, test_set)
    series = series_of(runs)
    rates = {noise: rate for noises in series.values() for noise, rate in noises.items()}
    clean = next((noise for noise, rate in rates.items() if rate == 0), None)
    columns: dict[Column, str] = {}
    behind: dict[Column, list[str]] = {}
    for name, noises in series.items():
        if is_line(noises):
            column = Column(name, test_set, f"{AREA} {metric}")
            span = f"{100 * min(noises.values()):.3g} to {100 * max(noises.values()):.3g} %"
            columns[column], behind[column] = f"{AREA} {metric}, {name}, {span}", list(noises)
    if clean is not None:
        for noise in [noise for noise in rates if noise != clean]:
            column = Column(noise, test_set, DROP)
            columns[column], behind[column] = f"drop at {noise}", [clean, noise]
    measured = measure(runs, [Column(noise, test_set, metric) for noise in rates], allow_mixed=allow_mixed)
    cells: dict[Key, Measured] = {}
    for method in distinct(run.method for run in runs):
        for column, noises_behind in behind.items():
            values = [measured.get((method, Column(noise, test_set, metric))) for noise in noises_behind]
            cell = _cell(column, [rates[noise] for noise in noises_behind], [one for one in values if one is not None])
            if cell is not None:
                cells[method, column] = cell
    if not cells:
        return None
    title = f"{runs[0].suite}, {runs[0].data.name}, {test_set} robustness"
    return build(runs, cells, columns, title, allow_mixed=allow_mixed, baseline=baseline)


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
