"""What methods reach on each test set, and what is left of it as noise grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from noisebench.analysis.figures.style import (
    MARKERS,
    NothingToDrawError,
    drawing,
    finish,
    grid,
    legend_above,
    legend_columns,
    legend_height,
    line_styles,
    shortened,
    width_of,
)
from noisebench.analysis.statistics import Summary, interval_of
from noisebench.analysis.tables import ACCURACY, Table, distinct

PANELS_ACROSS = 3
MOST_NUMBERS = 32
"""Points of a panel up to which each has its number beside it; those of more are told by the tables."""
FEW_LINES = 6
"""Lines up to which a panel is small and their intervals stand out."""


def accuracy_by_method(tables: Sequence[Table]) -> Figure:
    """Accuracy of each method: one panel a test set, a point the mean over seeds, bars the sample standard deviation.

    Where a test set's protocol has no accuracy, the first metric of its columns stands for it.

    Args:
        tables: Of one suite and data set (see `noisebench.analysis.tables.comparisons`); each noise gets a colour.

    Raises:
        NothingToDrawError: No table holds a result.
    """
    noises = distinct(column.noise for table in tables for column in table.columns)
    metrics = _metrics(tables)
    methods = distinct(method for table in tables for method in table.methods)
    if not metrics or not methods:
        raise NothingToDrawError("no finished run to draw the accuracy of")
    with drawing():
        with_numbers = len(methods) * len(noises) <= MOST_NUMBERS
        step = 0.14 if with_numbers else 0.075
        figure, panels = grid(
            len(metrics), 3.4, 0.4 + len(methods) * (0.24 + step * len(noises)), columns=PANELS_ACROSS
        )
        for place, (panel, (test_set, metric)) in enumerate(zip(panels, metrics.items(), strict=True)):
            drawn = _draw_accuracies(panel, tables, (test_set, metric), noises, methods)
            if with_numbers:
                _write_numbers(panel, drawn)
            finish([panel])
            is_left = place % PANELS_ACROSS == 0
            panel.set_yticks(range(len(methods)), [shortened(name) if is_left else "" for name in methods])
            panel.set_ylim(len(methods) - 0.5, -0.5)  # the first method on top
            name = shortened(test_set)
            panel.set_title(name if metric == ACCURACY else f"{name}, {metric}", fontweight="bold")
        what = "verification accuracy" if set(metrics.values()) == {ACCURACY} else "result"
        figure.supxlabel(f"{what} (%), mean ± standard deviation over seeds", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        columns = legend_columns(figure.get_size_inches()[0], labels)
        figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)
    return figure


def accuracy_over_rate(tables: Sequence[Table], rates: Mapping[str, float]) -> Figure:
    """What each method reaches over the rate of noise; bars are 95 % intervals of the mean, cut at the frame.

    Args:
        tables: A panel each: methods against noises, for one test set (see `noisebench.analysis.tables.overviews`).
        rates: The realised rate of each noise to draw, 0..1.

    Raises:
        NothingToDrawError: No table holds a result of a noise in ``rates``.
    """
    methods = distinct(method for table in tables for method in table.methods)
    shown = [table for table in tables if any(column.noise in rates for _, column in table.cells)]
    if not shown:
        raise NothingToDrawError("no finished run to draw accuracy over the noise rate of")
    styles = line_styles(methods)
    width, height = (3.2, 2.7) if len(methods) <= FEW_LINES else (4.4, 4.0)
    across = min(len(shown), PANELS_ACROSS)
    above = 0.7 + legend_height(width_of(across, width), methods)
    with drawing():
        figure, panels = grid(len(shown), width, height, columns=PANELS_ACROSS, above=above)
        for panel, table in zip(panels, shown, strict=True):
            column = table.columns[0]
            _draw_over_rate(panel, table, rates, styles)
            name = shortened(column.test_set)
            panel.set_title(name if column.metric == ACCURACY else f"{name}, {column.metric}", fontweight="bold")
        figure.supxlabel("realised noise (% of the training images)", fontsize=9)
        figure.supylabel("result (%)", fontsize=9)
        legend_above(figure, styles)
        finish(panels)
    return figure


def _metrics(tables: Sequence[Table]) -> dict[str, str]:
    """The metric to draw of each test set: its accuracy, or what it has first."""
    found: dict[str, str] = {}
    for column in (column for table in tables for column in table.columns):
        if column.metric == ACCURACY:
            found[column.test_set] = ACCURACY
        found.setdefault(column.test_set, column.metric)
    return found


def _draw_over_rate(panel: Axes, table: Table, rates: Mapping[str, float], styles: dict[str, dict[str, Any]]) -> None:
    lowest, highest = [], []
    # Between methods, so that their bars do not hide; of many methods none is far from its rate.
    step = min(0.008, 0.04 / len(table.methods)) * (max(rates.values()) - min(rates.values()))
    for place, method in enumerate(table.methods):
        there = [
            (rates[column.noise], summary)
            for (other, column), summary in table.cells.items()
            if other == method and column.noise in rates
        ]
        cells = sorted(there, key=lambda cell: cell[0])
        if not cells:
            continue
        shift = step * (place - (len(table.methods) - 1) / 2)
        intervals = [interval_of(summary) for _, summary in cells]
        reach = [100 * (interval.high - interval.low) / 2 if interval else 0.0 for interval in intervals]
        means = [100 * summary.mean for _, summary in cells]
        x = [100 * (rate + shift) for rate, _ in cells]
        faint = to_rgba(styles[method]["color"], 0.45 if len(table.methods) <= FEW_LINES else 0.2)
        panel.errorbar(x, means, yerr=reach, capsize=2, elinewidth=0.8, ecolor=faint, **styles[method])
        lowest += [100 * (summary.mean - 2 * (summary.std or 0)) for _, summary in cells]
        highest += [100 * (summary.mean + 2 * (summary.std or 0)) for _, summary in cells]
    margin = 0.06 * (max(highest) - min(lowest)) or 1.0
    panel.set_ylim(min(lowest) - margin, max(highest) + margin)


def _draw_accuracies(
    panel: Axes, tables: Sequence[Table], shown: tuple[str, str], noises: Sequence[str], methods: Sequence[str]
) -> list[tuple[float, Summary]]:
    """Points of one panel, whose test set and metric is ``shown``; gives them back by their heights."""
    colours = sns.color_palette("colorblind", len(noises))
    offsets = (np.arange(len(noises)) - (len(noises) - 1) / 2) * 0.7 / max(len(noises), 2)
    cells = {
        (column.noise, method): cell
        for table in tables
        for (method, column), cell in table.cells.items()
        if (column.test_set, column.metric) == shown
    }
    drawn: list[tuple[float, Summary]] = []
    for position, noise in enumerate(noises):
        there = [row for row, method in enumerate(methods) if (noise, method) in cells]
        points = [(row + offsets[position], cells[noise, methods[row]]) for row in there]
        panel.errorbar(
            [100 * summary.mean for _, summary in points],
            [height for height, _ in points],
            xerr=[100 * (summary.std or 0) for _, summary in points],
            fmt=MARKERS[position % len(MARKERS)],
            color=colours[position],
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            capsize=2.5,
            linewidth=1.3,
            label=noise,
        )
        drawn += points
    panel.xaxis.set_major_locator(MaxNLocator(5))
    return drawn


def _write_numbers(panel: Axes, points: Sequence[tuple[float, Summary]]) -> None:
    for height, summary in points:
        panel.annotate(
            f"{100 * summary.mean:.2f}",
            (100 * (summary.mean + (summary.std or 0)), height),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color="#444444",
        )
    panel.set_xmargin(0.16)  # room for the numbers beside the points
