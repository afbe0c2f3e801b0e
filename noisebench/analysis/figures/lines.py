"""Lines side by side: the mean over the runs of a method, in a band from the least of them to the greatest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from noisebench.analysis.figures.style import (
    INK,
    NothingToDrawError,
    drawing,
    finish,
    grid,
    legend_above,
    legend_height,
    line_styles,
    spread_markers,
    width_of,
)

Tables = Mapping[str, Sequence[pd.DataFrame]]
"""One table of `noisebench.analysis.whole_run` for each run of a method, by the method's name to print."""
Panels = Mapping[str, Mapping[str, pd.DataFrame]]
"""Lines of `line_of` by name, for each panel by title."""

PANELS_ACROSS = 4
WIDTHS = {1: 4.6, 2: 3.2}
"""Of a panel, in inches, where there are few."""
BAND = 0.16
REFERENCE: dict[str, Any] = {"color": INK, "linestyle": (0, (2, 1.2)), "linewidth": 2, "marker": "", "zorder": 3}


def line_of(tables: Sequence[pd.DataFrame], column: str, scale: float = 1.0, x: str = "epoch") -> pd.DataFrame:
    """A column over the epochs of several runs: ``mean``, ``min`` and ``max`` over those that have a value there."""
    values = [pd.Series(table[column].to_numpy(np.float64) * scale, table[x].to_numpy()) for table in tables]
    return pd.concat(values).groupby(level=0).agg(["mean", "min", "max"])


def draw_lines(
    panels: Panels, x: str, y: str, subject: str, *, is_share: bool = False, reference: str | None = None
) -> Figure:
    """Panels side by side, one line a name; panels and names without a value are left out.

    Args:
        panels: What to draw.
        x: Name of the horizontal axis.
        y: Of the vertical one.
        subject: Of the figure, for the error where there is nothing to draw.
        is_share: Whether the vertical axis spans 0 to 100 %.
        reference: Name of the line that the others are to be held against.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    there = {
        title: {name: known for name, line in lines.items() if len(known := line.dropna())}
        for title, lines in panels.items()
    }
    there = {title: lines for title, lines in there.items() if lines.keys() - {reference}}
    if not there:
        raise NothingToDrawError(f"nothing to draw of {subject}")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    drawn = [name for name in names if any(name in lines for lines in there.values())]
    styles = line_styles([name for name in drawn if name != reference])
    if reference in drawn:
        styles[reference] = REFERENCE
    across = min(len(there), PANELS_ACROSS)
    width = WIDTHS.get(across, 2.3)
    above = 0.75 + legend_height(width_of(across, width), [name for name in styles if name])
    with drawing():
        figure, axes = grid(len(there), width, 2.2, columns=PANELS_ACROSS, above=above, share=is_share)
        for panel, (title, lines) in zip(axes, there.items(), strict=True):
            for place, (name, line) in enumerate(lines.items()):
                style = styles[name] if name else {**styles[name], "marker": ""}
                panel.plot(line.index, line["mean"], markevery=spread_markers(len(line), place), **style)
                if (line["max"] > line["min"]).any():
                    panel.fill_between(
                        line.index, line["min"], line["max"], color=style["color"], alpha=BAND, linewidth=0
                    )
            panel.set_title(title, fontsize=9)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            if is_share:
                panel.set_ylim(-3, 103)
        figure.supxlabel(x, fontsize=9)
        figure.supylabel(y, fontsize=9)
        if any(styles):
            legend_above(figure, styles)
        finish(axes)
    return figure
