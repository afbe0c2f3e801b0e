"""What all figures share: colours, lines, the panels' frame, and how a figure is saved.

Colours are those of Okabe and Ito (2008), told apart by the colour-blind; lines also differ in dash and marker, so that
they are told apart in grey print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from noisebench.errors import UserError
from noisebench.files import whole_file

KIND_COLOURS = {"clean": "#0072B2", "closed": "#D55E00", "open": "#009E73"}
KIND_NAMES = {"clean": "clean", "closed": "closed-set noise", "open": "open-set noise"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1, 1, 1)))
MARKERS = "osD^vPX*"
NUM_MARKED = 6  # points of a line that bear its marker
INK = "#222222"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#444444",
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "font.family": "sans-serif",
    "grid.color": "#E6E6E6",
    "legend.fontsize": 8.5,
    "svg.hashsalt": "noisebench",
    "text.parse_math": False,  # names come from files: a dollar sign in one is a dollar sign
    "xtick.labelsize": 8,
    "ytick.labelsize": 8.5,
}


class NothingToDrawError(UserError):
    """The results hold nothing that this figure shows."""


@contextmanager
def drawing(axes: Literal["white", "whitegrid"] = "whitegrid") -> Iterator[None]:
    """The style of all figures, for as long as the block lasts; ``axes`` is a style of seaborn."""
    with sns.axes_style(axes), mpl.rc_context(STYLE):
        yield


def grid(
    num_panels: int, width: float, height: float, *, columns: int, above: float = 0.9, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, row by row.

    Args:
        num_panels: How many.
        width: Of a panel, in inches.
        height: Of a panel, in inches.
        columns: At most so many side by side.
        above: Room for a legend and the axes' names, in inches.
        share: Whether all panels have the same axes.
    """
    across = min(num_panels, columns)
    down = math.ceil(num_panels / across)
    figure = Figure(figsize=(width_of(across, width), above + height * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=share, sharey=share, squeeze=False).ravel().tolist()
    for panel in panels[num_panels:]:
        panel.set_axis_off()
    for hidden in range(num_panels, len(panels)) if share else ():
        panels[hidden - across].tick_params(labelbottom=True)
    return figure, panels[:num_panels]


def width_of(across: int, width: float) -> float:
    """The width of a figure of so many panels side by side, of this width each, in inches."""
    return 0.8 + width * across


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """How the line of each name is drawn: no two of the first 32 alike, nor two of one colour with one marker."""
    styles = {}
    for place, name in enumerate(names):
        styles[name] = {
            "color": COLOURS[place % len(COLOURS)],
            "linestyle": DASHES[(place + place // len(COLOURS)) % len(DASHES)],
            "marker": MARKERS[(place + 3 * (place // len(COLOURS))) % len(MARKERS)],
            "markersize": 4.5,
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
            "linewidth": 1.4,
        }
    return styles


def spread_markers(num_points: int, place: int) -> tuple[int, int]:
    """``markevery`` of a line: about six of its points, begun elsewhere for each line so that markers do not hide."""
    step = max(1, math.ceil(num_points / NUM_MARKED))
    return place % step, step


def legend_above(figure: Figure, styles: dict[str, dict[str, Any]]) -> None:
    """A legend of lines above all panels; handles are made here, for names that begin with '_' are hidden otherwise."""
    handles = [Line2D([], [], label=name, **style) for name, style in styles.items()]
    names = [shortened(name) for name in styles]
    columns = legend_columns(figure.get_size_inches()[0], names)
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)


def legend_columns(width: float, names: Sequence[str]) -> int:
    """How many entries of a legend fit side by side in a figure of this width, in inches."""
    widest = 0.6 + 0.08 * max(map(len, names))  # inches: the handle and the letters
    return max(1, min(len(names), int(width / widest)))


def legend_height(width: float, names: Sequence[str]) -> float:
    """How high a legend above a figure of this width gets, both in inches."""
    return 0.2 * math.ceil(len(names) / legend_columns(width, names)) if names else 0.0


def shortened(name: str, longest: int = 28) -> str:
    """A name short enough to stand in a figure."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def finish(panels: Sequence[Axes], *, left: bool = True) -> None:
    """Take off the frames, and put small ticks on the horizontal axis; ``left`` takes off the left edge, too."""
    for panel in panels:
        panel.tick_params(axis="x", bottom=True, length=3, color="#888888")
        sns.despine(ax=panel, left=left)


def write_figure(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Save a figure as ``stem.png`` (150 dpi) and ``stem.svg``, each whole or not at all."""
    png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    with mpl.rc_context(STYLE):
        with whole_file(png) as temporary:
            figure.savefig(temporary, format="png", dpi=150, facecolor="white")
        with whole_file(svg) as temporary:
            figure.savefig(temporary, format="svg", facecolor="white", metadata={"Date": None})
    return png, svg
