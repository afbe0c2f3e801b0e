"""Curves over training: what samples are fitted to, what is corrected, what is detected, where centres go.

Those that compare methods take each method's table of `noisebench.analysis.whole_run`, by the name to print. Epochs are
counted from 0, as in the logs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from noisebench.analysis.figures.style import (
    NothingToDrawError,
    drawing,
    finish,
    grid,
    legend_above,
    line_styles,
    shortened,
    spread_markers,
)

Tables = Mapping[str, pd.DataFrame]
Panels = Mapping[str, Mapping[str, "pd.Series[float]"]]
"""Lines by name, for each panel by title; a line's index is its horizontal axis."""

PANELS_ACROSS = 4
SCORE_NAMES = {
    "angle": "angle to the label",
    "angle_gap": "angle gap",
    "loss_bound": "bound of the loss",
    "low_norm": "low norm",
}
FITTED = {
    "closed-set noise:\nfitted to the wrong label": ("closed", "to_label"),
    "closed-set noise:\nfitted to the true class": ("closed", "to_true"),
    "open-set noise:\nfitted to its label": ("open", "to_label"),
    "clean samples:\nfitted to their label": ("clean", "to_label"),
}
CORRECTED = {
    "precision:\nnoisy, of the corrected": "precision",
    "recall:\ncorrected, of the noisy": "recall",
    "closed-set noise:\nwith its true class": "corrected_to_true",
    "clean samples:\nharmed": "clean_harmed",
}


def memorisation_curves(tables: Tables) -> Figure:
    """What noisy and clean samples are fitted to, by epoch and method.

    Args:
        tables: ``memorisation`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    panels = {
        title: {name: 100 * _by_epoch(table[table["kind"] == kind], share) for name, table in tables.items()}
        for title, (kind, share) in FITTED.items()
    }
    return _curves(panels, "epoch", "share of the samples (%)", "memorisation", is_share=True)


def correction_curves(tables: Tables) -> Figure:
    """How right the corrections of each method are, by epoch; a method that corrects nothing is left out.

    Args:
        tables: ``corrections`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    correcting = {name: table for name, table in tables.items() if table["corrected"].any()}
    panels = {
        title: {name: 100 * _by_epoch(table, share) for name, table in correcting.items()}
        for title, share in CORRECTED.items()
    }
    return _curves(panels, "epoch", "share (%)", "corrections", is_share=True)


def detection_by_epoch(tables: Tables) -> Figure:
    """Area under the ROC of each score that tells noise from clean samples, by epoch and method.

    Args:
        tables: ``detection`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    everything = {name: table[table["noise"] == "all"] for name, table in tables.items()}
    panels = {
        title: {name: 100 * _by_epoch(table[table["score"] == score], "auc") for name, table in everything.items()}
        for score, title in SCORE_NAMES.items()
    }
    return _curves(panels, "epoch", "area under the ROC (%)", "detection of noise")


def detection_curves(curves: pd.DataFrame, detection: pd.DataFrame) -> Figure:
    """How well one run's scores tell noise from clean samples: ROC and precision in the end, and areas by epoch.

    Args:
        curves: The run's ``detection_curves``; the last epoch is drawn.
        detection: Its ``detection``.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    last = curves[curves["epoch"] == curves["epoch"].max()]
    everything = detection[detection["noise"] == "all"]
    roc, precision, area = {}, {}, {}
    for score, name in SCORE_NAMES.items():
        points = last[last["score"] == score]
        roc[name] = pd.Series(100 * points["tpr"].to_numpy(), index=100 * points["fpr"].to_numpy())
        by_recall = points.drop_duplicates("tpr", keep="first")
        precision[name] = pd.Series(100 * by_recall["precision"].to_numpy(), index=100 * by_recall["tpr"].to_numpy())
        area[name] = 100 * _by_epoch(everything[everything["score"] == score], "auc")
    if last.empty:
        raise NothingToDrawError("no detection of noise to draw: there are no noisy or no clean samples")
    styles = {name: style | {"marker": ""} for name, style in line_styles(SCORE_NAMES.values()).items()}
    with drawing():
        figure, panels = grid(3, 2.7, 2.5, columns=3)
        for panel, lines in zip(panels, (roc, precision, area), strict=True):
            for name, line in lines.items():
                panel.plot(line.index, line.to_numpy(), **styles[name])
        panels[0].plot([0, 100], [0, 100], color="#AAAAAA", linewidth=0.8, zorder=0)
        epoch = int(last["epoch"].iloc[0])
        _name(panels[0], f"ROC, epoch {epoch}", "clean samples called noise (%)", "noise found (%)")
        _name(panels[1], f"precision, epoch {epoch}", "noise found (%)", "noise, of what is called so (%)")
        _name(panels[2], "over training", "epoch", "area under the ROC (%)")
        panels[2].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend_above(figure, styles)
        finish(panels)
    return figure


def centre_drift(tables: Tables) -> Figure:
    """How far class centres have moved on average, since the first epoch and since the one before, by method.

    Args:
        tables: ``centre_drift`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    panels = {}
    for title, since in (("since the first epoch", "first"), ("since the epoch before", "previous")):
        parts = {name: table[(table["since"] == since) & (table["images"] == "all")] for name, table in tables.items()}
        panels[title] = {name: _degrees(_by_epoch(part, "mean")) for name, part in parts.items()}
    return _curves(panels, "epoch", "mean angle (degrees)", "drift of centres")


def state_curves(state: pd.DataFrame) -> Figure:
    """The numbers that a method follows, over the steps of training: a panel each.

    Args:
        state: ``method_state`` of a run.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    numbers = [name for name in state.columns if name != "step" and state[name].notna().any()]
    panels = {shortened(name): {"": pd.Series(state[name].to_numpy(), index=state["step"])} for name in numbers}
    return _curves(panels, "step of training", "", "numbers that the method follows")


def _curves(panels: Panels, x: str, y: str, subject: str, *, is_share: bool = False) -> Figure:
    """Panels side by side, one line a name; panels and names without a value are left out.

    Args:
        panels: What to draw.
        x: Name of the horizontal axis.
        y: Of the vertical one.
        subject: Of the figure, for the error where there is nothing to draw.
        is_share: Whether the vertical axis spans 0 to 100 %.
    """
    there = {
        title: {name: line.dropna() for name, line in lines.items() if line.notna().any()}
        for title, lines in panels.items()
    }
    there = {title: lines for title, lines in there.items() if lines}
    if not there:
        raise NothingToDrawError(f"nothing to draw of {subject}")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    styles = line_styles([name for name in names if any(name in lines for lines in there.values())])
    with drawing():
        figure, axes = grid(len(there), 2.3, 2.2, columns=PANELS_ACROSS, share=is_share)
        for panel, (title, lines) in zip(axes, there.items(), strict=True):
            for place, (name, line) in enumerate(lines.items()):
                marked = spread_markers(len(line), place)
                style = styles[name] if name else {**styles[name], "marker": ""}
                panel.plot(line.index, line.to_numpy(), markevery=marked, **style)
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


def _by_epoch(table: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column by epoch, which has one row each."""
    return pd.Series(table[column].to_numpy(np.float64), index=table["epoch"].to_numpy())


def _degrees(line: pd.Series[float]) -> pd.Series[float]:
    return line * (180 / math.pi)


def _name(panel: Axes, title: str, x: str, y: str) -> None:
    panel.set_title(title, fontsize=9)
    panel.set_xlabel(x)
    panel.set_ylabel(y)
