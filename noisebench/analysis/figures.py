"""Figures: where clean and noisy samples stand during training, and what methods reach.

Both functions return a `matplotlib.figure.Figure` that no global state knows of; `write_figure` saves it as PNG and
SVG. Colours are those of Okabe and Ito (2008), told apart by the colour-blind and in grey print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from noisebench.analysis.sample_log import logged_epochs, read_joined
from noisebench.analysis.tables import ACCURACY, Table
from noisebench.errors import UserError
from noisebench.files import whole_file
from noisebench.noise.manifest import KINDS, Manifest

KIND_COLOURS = {"clean": "#0072B2", "closed": "#D55E00", "open": "#009E73"}
KIND_NAMES = {"clean": "clean", "closed": "closed-set noise", "open": "open-set noise"}
TRUE_CLASS = "closed-set noise, angle to the true class"
BIN_DEGREES = 1.0
SMOOTHING_DEGREES = 2.5
RIDGE_HEIGHT = 0.92  # of a row, so that rows do not touch
NUM_EPOCHS = 5
NOTHING = 1e-2  # of a peak: lower densities are not drawn
MARKERS = "osD^vPX*"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "font.family": "sans-serif",
    "grid.color": "#E6E6E6",
    "legend.fontsize": 8.5,
    "svg.hashsalt": "noisebench",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8.5,
}


def angle_distributions(
    run_folders: Mapping[str, Path], manifest: Manifest, epochs: Sequence[int] | None = None
) -> Figure:
    """Distributions of the angle to the label given, clean against noisy, as ridges over the epochs.

    A dashed line shows how far closed-set noise is from its true class: where it falls and the filled one does not, a
    method has learnt the truth in spite of the label. With noise by batch, an image counts in each epoch as what it was
    in that epoch.

    Args:
        run_folders: One run with a sample log for each method, by the name to print.
        manifest: The noise manifest all of them were trained with.
        epochs: Rows from top to bottom; None takes about five, the first and the last among them.

    Raises:
        UserError: There is no run, a log is missing, lacks one of the epochs, or is of another manifest.
    """
    if not run_folders:
        raise UserError("no run with a sample log to draw angles of")
    rows = list(epochs) if epochs is not None else _spread(_common_epochs(run_folders))
    densities = {
        method: [angle_densities(folder, manifest, epoch) for epoch in rows] for method, folder in run_folders.items()
    }
    with sns.axes_style("white"), mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 2.0 * len(densities), 1.2 + 0.85 * len(rows)), layout="constrained")
        panels = figure.subplots(1, len(densities), sharex=True, sharey=True, squeeze=False)[0]
        for panel, (method, ridges) in zip(panels, densities.items(), strict=True):
            _draw_ridges(panel, ridges)
            panel.set_title(method, fontweight="bold")
        _label_ridges(panels, rows, densities)
        axis = "angle to the centre of the label given (degrees)"
        if manifest.origin.recipe.per_batch is not None:
            axis += f"\n{manifest.origin.recipe.name}: noise per batch, not a property of the sample"
        figure.supxlabel(axis, fontsize=9)
        drawn = {name for ridges in densities.values() for ridge in ridges for name in ridge}
        figure.legend(handles=_angle_legend(drawn), loc="outside upper center", ncols=4, frameon=False)
    return figure


def angle_densities(run_folder: Path, manifest: Manifest, epoch: int) -> dict[str, NDArray[np.float64]]:
    """Density of the angle to the label by kind, and of closed-set noise to the true class, in one epoch.

    Returns:
        Densities [180] over bins of one degree, smoothed with a Gaussian of 2.5 degrees, each of area 1; by "clean",
        "closed", "open" and `TRUE_CLASS`, as far as there are samples.
    """
    samples = read_joined(run_folder, manifest, epoch, ["angle_label", "angle_true"])
    angles = {kind: samples.loc[samples["kind"] == kind, "angle_label"].to_numpy() for kind in KINDS}
    angles[TRUE_CLASS] = samples.loc[samples["kind"] == "closed", "angle_true"].dropna().to_numpy()
    return {name: _density(np.degrees(values)) for name, values in angles.items() if len(values)}


def accuracy_by_method(tables: Sequence[Table]) -> Figure:
    """Accuracy of each method: one panel a test set, a point the mean over seeds, bars the sample standard deviation.

    Args:
        tables: Of one suite and data set (see `noisebench.analysis.tables.comparisons`); each noise gets a colour.

    Raises:
        UserError: No table holds an accuracy.
    """
    noises = _distinct(column.noise for table in tables for column in table.columns)
    test_sets = _distinct(column.test_set for table in tables for column in table.columns)
    methods = _distinct(method for table in tables for method in table.methods)
    if not test_sets or not methods:
        raise UserError("no finished run to draw the accuracy of")
    with sns.axes_style("whitegrid"), mpl.rc_context(STYLE):
        height = 1.3 + len(methods) * (0.24 + 0.14 * len(noises))
        figure = Figure(figsize=(1.4 + 3.4 * len(test_sets), height), layout="constrained")
        panels = figure.subplots(1, len(test_sets), sharey=True, squeeze=False)[0]
        for panel, test_set in zip(panels, test_sets, strict=True):
            _draw_accuracies(panel, tables, test_set, noises, methods)
        panels[0].set_yticks(range(len(methods)), methods)
        panels[0].set_ylim(len(methods) - 0.5, -0.5)  # the first method on top
        figure.supxlabel("verification accuracy (%), mean ± standard deviation over seeds", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(noises), 6), frameon=False)
    return figure


def write_figure(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Save a figure as ``stem.png`` (150 dpi) and ``stem.svg``, each whole or not at all."""
    png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    with mpl.rc_context(STYLE):
        with whole_file(png) as temporary:
            figure.savefig(temporary, format="png", dpi=150, facecolor="white")
        with whole_file(svg) as temporary:
            figure.savefig(temporary, format="svg", facecolor="white", metadata={"Date": None})
    return png, svg


def _common_epochs(run_folders: Mapping[str, Path]) -> list[int]:
    """The epochs every run has logged."""
    logged = [set(logged_epochs(folder)) for folder in run_folders.values()]
    common = sorted(set.intersection(*logged))
    if not common:
        raise UserError(f"the sample logs of {', '.join(run_folders)} have no epoch in common")
    return common


def _spread(epochs: Sequence[int]) -> list[int]:
    """At most five of the epochs, evenly spread from the first to the last."""
    positions = np.linspace(0, len(epochs) - 1, min(NUM_EPOCHS, len(epochs)))
    return [epochs[round(position)] for position in positions]


def _density(degrees: NDArray[np.floating]) -> NDArray[np.float64]:
    """Density [180] of angles in degrees. Smoothing reflects at 0 and 180, so no mass is lost there."""
    density, _ = np.histogram(degrees, bins=round(180 / BIN_DEGREES), range=(0, 180), density=True)
    reach = round(4 * SMOOTHING_DEGREES / BIN_DEGREES)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * BIN_DEGREES / SMOOTHING_DEGREES) ** 2)
    padded = np.pad(density, reach, mode="symmetric")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), mode="valid"))


def _draw_ridges(panel: Axes, ridges: Sequence[dict[str, NDArray[np.float64]]]) -> None:
    """One ridge above another, the first on top; each row is scaled to its highest peak."""
    degrees = (np.arange(round(180 / BIN_DEGREES)) + 0.5) * BIN_DEGREES
    for row, ridge in enumerate(ridges):
        base = len(ridges) - 1 - row
        peak = max(density.max() for density in ridge.values())
        panel.axhline(base, color="#BBBBBB", linewidth=0.7, zorder=1)
        for name, density in ridge.items():
            height = np.where(density > NOTHING * peak, density / peak * RIDGE_HEIGHT, np.nan)
            if name != TRUE_CLASS:
                panel.fill_between(degrees, base, base + height, color=KIND_COLOURS[name], alpha=0.35, linewidth=0)
            panel.plot(degrees, base + height, label=name, **_line_style(name))


def _line_style(name: str) -> dict[str, Any]:
    if name == TRUE_CLASS:
        return {"color": "#222222", "linewidth": 1.1, "linestyle": (0, (3, 1.5))}
    return {"color": KIND_COLOURS[name], "linewidth": 1.2}


def _label_ridges(
    panels: Sequence[Axes], rows: Sequence[int], densities: Mapping[str, list[dict[str, NDArray[np.float64]]]]
) -> None:
    drawn = [density for ridges in densities.values() for ridge in ridges for density in ridge.values()]
    last = max(np.flatnonzero(density > NOTHING * density.max())[-1] for density in drawn)
    widest = 15 * np.ceil((last + 1) * BIN_DEGREES / 15)
    panels[0].set_xlim(0, widest)
    panels[0].set_ylim(-0.08, len(rows) - 1 + RIDGE_HEIGHT + 0.08)
    panels[0].set_yticks([len(rows) - 1 - row for row in range(len(rows))], [f"epoch {epoch}" for epoch in rows])
    for panel in panels:
        panel.set_xticks(np.arange(0, widest + 1, 30))
        panel.tick_params(axis="x", bottom=True, length=3, color="#888888")
        sns.despine(ax=panel, left=True)


def _angle_legend(drawn: set[str]) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=mpl.colors.to_rgba(colour, 0.4), edgecolor=colour, label=KIND_NAMES[kind])
        for kind, colour in KIND_COLOURS.items()
        if kind in drawn
    ]
    if TRUE_CLASS in drawn:
        handles.append(Line2D([], [], label=TRUE_CLASS, **_line_style(TRUE_CLASS)))
    return handles


def _draw_accuracies(
    panel: Axes, tables: Sequence[Table], test_set: str, noises: Sequence[str], methods: Sequence[str]
) -> None:
    colours = sns.color_palette("colorblind", len(noises))
    offsets = (np.arange(len(noises)) - (len(noises) - 1) / 2) * 0.7 / max(len(noises), 2)
    cells = {
        (column.noise, method): cell
        for table in tables
        for (method, column), cell in table.cells.items()
        if column.test_set == test_set and column.metric == ACCURACY
    }
    for position, noise in enumerate(noises):
        there = [row for row, method in enumerate(methods) if (noise, method) in cells]
        summaries = [cells[noise, methods[row]] for row in there]
        panel.errorbar(
            [100 * summary.mean for summary in summaries],
            [row + offsets[position] for row in there],
            xerr=[100 * (summary.std or 0) for summary in summaries],
            fmt=MARKERS[position % len(MARKERS)],
            color=colours[position],
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            capsize=2.5,
            linewidth=1.3,
            label=noise,
        )
        for row, summary in zip(there, summaries, strict=True):
            panel.annotate(
                f"{100 * summary.mean:.2f}",
                (100 * (summary.mean + (summary.std or 0)), row + offsets[position]),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color="#444444",
            )
    panel.set_title(test_set, fontweight="bold")
    panel.set_xmargin(0.16)  # room for the numbers beside the points
    panel.tick_params(axis="x", bottom=True, length=3, color="#888888")
    sns.despine(ax=panel, left=True)


def _distinct(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
