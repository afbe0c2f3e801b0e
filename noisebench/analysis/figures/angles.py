"""Where clean and noisy samples stand during training: distributions of their angles, a ridge an epoch."""

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

from noisebench.analysis.figures.style import (
    INK,
    KIND_COLOURS,
    KIND_NAMES,
    NothingToDrawError,
    drawing,
    grid,
    shortened,
)
from noisebench.analysis.sample_log import logged_epochs, read_joined
from noisebench.errors import UserError
from noisebench.noise.manifest import KINDS, Manifest

TRUE_CLASS = "closed-set noise, angle to the true class"
BIN_DEGREES = 1.0
SMOOTHING_DEGREES = 2.5
RIDGE_HEIGHT = 0.92  # of a row, so that rows do not touch
NUM_EPOCHS = 5
NOTHING = 1e-2  # of a peak: lower densities are not drawn
PANELS_ACROSS = 5


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
    if not any(any(ridges) for ridges in densities.values()):
        raise NothingToDrawError("the sample logs hold no angle that is a number")
    with drawing("white"):
        height = 0.3 + 0.85 * len(rows)
        figure, panels = grid(len(densities), 2.0, height, columns=PANELS_ACROSS, share=True)
        for panel, (method, ridges) in zip(panels, densities.items(), strict=True):
            _draw_ridges(panel, ridges)
            panel.set_title(shortened(method, 24), fontweight="bold")
        _label_ridges(panels, rows, densities)
        axis = "angle to the centre of the label given (degrees)"
        if manifest.origin.recipe.per_batch is not None:
            axis += f"\n{manifest.origin.recipe.name}: noise per batch, not a property of the sample"
        figure.supxlabel(axis, fontsize=9)
        drawn = {name for ridges in densities.values() for ridge in ridges for name in ridge}
        columns = 4 if len(panels) > 2 else 1 if len(panels) == 1 else 2
        figure.legend(handles=_angle_legend(drawn), loc="outside upper center", ncols=columns, frameon=False)
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
    known = {name: values[np.isfinite(values)] for name, values in angles.items()}  # others are of a diverged training
    return {name: _density(np.degrees(values)) for name, values in known.items() if len(values)}


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
        peak = max((density.max() for density in ridge.values()), default=0.0)
        panel.axhline(base, color="#BBBBBB", linewidth=0.7, zorder=1)
        for name, density in ridge.items():
            height = np.where(density > NOTHING * peak, density / peak * RIDGE_HEIGHT, np.nan)
            if name != TRUE_CLASS:
                panel.fill_between(degrees, base, base + height, color=KIND_COLOURS[name], alpha=0.35, linewidth=0)
            panel.plot(degrees, base + height, label=name, **_line_style(name))


def _line_style(name: str) -> dict[str, Any]:
    if name == TRUE_CLASS:
        return {"color": INK, "linewidth": 1.1, "linestyle": (0, (3, 1.5))}
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
