"""Class centres: how far they move, where they end beside the truth, and which sub-centres noise gathers at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from noisebench.analysis.figures.lines import PANELS_ACROSS, Tables, draw_lines, line_of
from noisebench.analysis.figures.style import (
    COLOURS,
    INK,
    KIND_COLOURS,
    NothingToDrawError,
    drawing,
    finish,
    grid,
    legend_columns,
    shortened,
)

DEGREES = 180 / np.pi
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHARES = {
    "dominant_clean": ("dominant, clean", KIND_COLOURS["clean"], ""),
    "dominant_noisy": ("dominant, noisy", KIND_COLOURS["closed"], ""),
    "other_clean": ("non-dominant, clean", KIND_COLOURS["clean"], "////"),
    "other_noisy": ("non-dominant, noisy", KIND_COLOURS["closed"], "////"),
}
"""The shares of the Sub-center paper: name, colour by what the samples are, hatch where they are not dominant."""

_OPACITY = {False: 0.75, True: 0.3}
"""Of an area, by whether it is hatched."""


def centre_drift(tables: Tables) -> Figure:
    """How far class centres have moved on average, since the first epoch and since the one before, by method.

    Where classes differ in size, a third panel has the last epoch by the number of images labelled with the class.

    Args:
        tables: ``centre_drift`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    panels = {}
    for title, since in (("since the first epoch", "first"), ("since the epoch before", "previous")):
        parts = {
            name: [table[(table["since"] == since) & (table["images"] == "all")] for table in found]
            for name, found in tables.items()
        }
        panels[title] = {name: line_of(part, "mean", DEGREES) for name, part in parts.items()}
    in_the_end = {name: [_in_the_end(table) for table in found] for name, found in tables.items()}
    sizes = sorted({size for found in in_the_end.values() for table in found for size in table["images"]}, key=_least)
    if len(sizes) > 1:
        places = {
            name: [table.assign(place=table["images"].map(sizes.index)) for table in found]
            for name, found in in_the_end.items()
        }
        panels["since the first epoch,\nby images of the class"] = {
            name: line_of(found, "mean", DEGREES, x="place") for name, found in places.items()
        }
    figure = draw_lines(panels, "epoch", "mean angle (degrees)", "drift of centres")
    if len(sizes) > 1:
        figure.axes[-1].set_xticks(range(len(sizes)), sizes)
    return figure


def centres_beside_truth(panels: Mapping[str, Mapping[str, Sequence[pd.DataFrame]]]) -> Figure:
    """How far the classes' centres end from where they should be, by method: the spread over the classes of all runs.

    A point is the median, a thick line holds half of the classes, a thin one nine in ten.

    Args:
        panels: By what the centres are held against, and by method, the tables of `noisebench.analysis.drift.per_class`
            of each run.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    angles = {
        title: {name: known for name, tables in found.items() if len(known := _angles(tables))}
        for title, found in panels.items()
    }
    angles = {title: found for title, found in angles.items() if found}
    if not angles:
        raise NothingToDrawError("no class centres to hold against the truth")
    methods = list(dict.fromkeys(name for found in angles.values() for name in found))
    with drawing():
        figure, axes = grid(len(angles), 3.2, 0.4 + 0.27 * len(methods), columns=2, above=0.6)
        for place, (panel, (title, found)) in enumerate(zip(axes, angles.items(), strict=True)):
            _draw_spreads(panel, [(methods.index(name), values) for name, values in found.items()])
            names = [shortened(name) if place == 0 else "" for name in methods]
            panel.set_yticks(range(len(methods)), names)
            panel.set_ylim(len(methods) - 0.4, -0.6)
            panel.set_title(title, fontsize=9)
        figure.supxlabel("angle (degrees)", fontsize=9)
        finish(axes)
    return figure


def sub_centre_shares(tables: Tables) -> Figure:
    """Whether noise gathers away from the sub-centre that most samples of a class are nearest to: shares by epoch.

    Args:
        tables: ``sub_centres`` of each method; shares are means over its runs.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    there = {name: found for name, found in tables.items() if any(len(table) for table in found)}
    if not there:
        raise NothingToDrawError("no sub-centres to draw")
    with drawing("white"), mpl.rc_context({"hatch.linewidth": 0.6}):
        figure, axes = grid(len(there), 2.5, 2.2, columns=PANELS_ACROSS, share=True)
        for panel, (name, found) in zip(axes, there.items(), strict=True):
            shares = pd.DataFrame({share: line_of(found, share, 100)["mean"] for share in SHARES}).dropna()
            if len(shares) == 1:  # one epoch is no area
                shares = pd.concat([shares, shares.set_axis(shares.index + 1)])
            below = np.zeros(len(shares))
            for share, (_, colour, hatch) in SHARES.items():
                above = below + shares[share].to_numpy()
                fill = mpl.colors.to_rgba(colour, _OPACITY[bool(hatch)])
                panel.fill_between(
                    shares.index, below, above, facecolor=fill, hatch=hatch, edgecolor=colour, linewidth=0.8
                )
                below = above
            panel.set_title(shortened(name), fontweight="bold")
            panel.set_ylim(0, 100)
            panel.margins(x=0)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("share of the samples (%)", fontsize=9)
        handles = [
            Patch(
                facecolor=mpl.colors.to_rgba(colour, _OPACITY[bool(hatch)]), edgecolor=colour, hatch=hatch, label=label
            )
            for label, colour, hatch in SHARES.values()
        ]
        labels = [label for label, _, _ in SHARES.values()]
        columns = min(legend_columns(figure.get_size_inches()[0], labels), len(labels))
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False)
        finish(axes)
    return figure


def _in_the_end(table: pd.DataFrame) -> pd.DataFrame:
    """The drift since the first epoch, at the last one, of classes by size."""
    since_first = (table["since"] == "first") & (table["images"] != "all")
    in_the_end: pd.DataFrame = table[since_first & (table["epoch"] == table["epoch"].max())]
    return in_the_end


def _least(size: str) -> int:
    """The number of images that a group such as "10-19" or "500+" begins with."""
    return int(size.partition("-")[0].rstrip("+"))


def _angles(tables: Sequence[pd.DataFrame]) -> np.ndarray:
    values = np.concatenate([table["angle"].to_numpy(np.float64) for table in tables]) if tables else np.empty(0)
    return values[np.isfinite(values)] * DEGREES


def _draw_spreads(panel: Axes, spreads: Sequence[tuple[int, np.ndarray]]) -> None:
    for row, values in spreads:
        p5, low, median, high, p95 = np.quantile(values, QUANTILES)
        panel.plot([p5, p95], [row, row], color=COLOURS[0], linewidth=1.2, solid_capstyle="butt")
        panel.plot([low, high], [row, row], color=COLOURS[0], linewidth=5, alpha=0.45, solid_capstyle="butt")
        panel.plot([median], [row], marker="o", markersize=5.5, color=INK, markeredgecolor="white")
    panel.set_xlim(left=0)
    panel.xaxis.set_major_locator(MaxNLocator(6))
