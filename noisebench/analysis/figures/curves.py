"""Curves over training: the loss, what samples are fitted to, what is corrected and detected, how much noise is seen.

Those that compare methods take tables of `noisebench.analysis.whole_run`, one for each run of a method, by the method's
name to print. Epochs are counted from 0, as in the logs.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from noisebench.analysis.figures.lines import Tables, draw_lines, line_of
from noisebench.analysis.figures.style import (
    NothingToDrawError,
    drawing,
    finish,
    grid,
    legend_above,
    line_styles,
    shortened,
)

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
ESTIMATED = {
    "twice the samples up to\nthe histogram's left top": "twice_left",
    "the samples below\nthe histogram's valley": "below_valley",
}
TRUE_RATE = "true noise rate"
SPAN = 20
"""Losses whose largest is more than so many times the smallest are drawn on a logarithmic axis."""


def loss_curves(tables: Tables) -> Figure:
    """The mean loss of each epoch, by method.

    Args:
        tables: The history of each run: ``epoch`` and ``loss``.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    lines = {name: line_of(histories, "loss") for name, histories in tables.items()}
    figure = draw_lines({"training loss": lines}, "epoch", "mean over the batches", "training")
    losses = pd.concat([table["loss"] for histories in tables.values() for table in histories])
    if 0 < SPAN * losses.min() < losses.max():
        figure.axes[0].set_yscale("log")
    return figure


def memorisation_curves(tables: Tables) -> Figure:
    """What noisy and clean samples are fitted to, by epoch and method.

    Args:
        tables: ``memorisation`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    panels = {}
    for title, (kind, share) in FITTED.items():
        parts = _where(tables, kind=kind)
        panels[title] = {name: line_of(part, share, 100) for name, part in parts.items()}
    return draw_lines(panels, "epoch", "share of the samples (%)", "memorisation", is_share=True)


def correction_curves(tables: Tables) -> Figure:
    """How right the corrections of each method are, by epoch; a method that corrects nothing is left out.

    Args:
        tables: ``corrections`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    correcting = {name: found for name, found in tables.items() if any(table["corrected"].any() for table in found)}
    panels = {
        title: {name: line_of(found, share, 100) for name, found in correcting.items()}
        for title, share in CORRECTED.items()
    }
    return draw_lines(panels, "epoch", "share (%)", "corrections", is_share=True)


def detection_by_epoch(tables: Tables) -> Figure:
    """Area under the ROC of each score that tells noise from clean samples, by epoch and method.

    Args:
        tables: ``detection`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    panels = {}
    for score, title in SCORE_NAMES.items():
        parts = _where(tables, noise="all", score=score)
        panels[title] = {name: line_of(part, "auc", 100) for name, part in parts.items()}
    return draw_lines(panels, "epoch", "area under the ROC (%)", "detection of noise")


def noise_rate_curves(tables: Tables) -> Figure:
    """How much noise the histogram of cosines tells of, by epoch and method, beside the true rate.

    Args:
        tables: ``noise_rate`` of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    everything = [table for found in tables.values() for table in found]
    panels = {}
    for title, column in ESTIMATED.items() if everything else ():
        panels[title] = {name: line_of(found, column, 100) for name, found in tables.items()}
        panels[title][TRUE_RATE] = line_of(everything, "true_rate", 100)
    return draw_lines(panels, "epoch", "noise rate (%)", "the noise rate", reference=TRUE_RATE)


def detection_curves(curves: pd.DataFrame, detection: pd.DataFrame) -> Figure:
    """How well one run's scores tell noise from clean samples: ROC and precision in the end, and areas by epoch.

    Args:
        curves: The run's ``detection_curves``; the last epoch is drawn.
        detection: Its ``detection``.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    last = curves[curves["epoch"] == curves["epoch"].max()]
    if last.empty:
        raise NothingToDrawError("no detection of noise to draw: there are no noisy or no clean samples")
    everything = detection[detection["noise"] == "all"]
    styles = {name: style | {"marker": ""} for name, style in line_styles(SCORE_NAMES.values()).items()}
    with drawing():
        figure, (roc, precision, area) = grid(3, 2.7, 2.5, columns=3)
        for score, name in SCORE_NAMES.items():
            points = last[last["score"] == score]
            by_recall = points.drop_duplicates("tpr", keep="first")
            by_epoch = everything[everything["score"] == score]
            roc.plot(100 * points["fpr"], 100 * points["tpr"], **styles[name])
            precision.plot(100 * by_recall["tpr"], 100 * by_recall["precision"], **styles[name])
            area.plot(by_epoch["epoch"], 100 * by_epoch["auc"], **styles[name])
        roc.plot([0, 100], [0, 100], color="#AAAAAA", linewidth=0.8, zorder=0)
        epoch = int(last["epoch"].iloc[0])
        _name(roc, f"ROC, epoch {epoch}", "clean samples called noise (%)", "noise found (%)")
        _name(precision, f"precision, epoch {epoch}", "noise found (%)", "noise, of what is called so (%)")
        _name(area, "over training", "epoch", "area under the ROC (%)")
        area.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend_above(figure, styles)
        finish([roc, precision, area])
    return figure


def state_curves(state: pd.DataFrame) -> Figure:
    """The numbers that a method follows, over the steps of training: a panel each.

    Args:
        state: ``method_state`` of a run.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    numbers = [name for name in state.columns if name != "step"]
    panels = {shortened(name): {"": line_of([state], name, x="step")} for name in numbers}
    return draw_lines(panels, "step of training", "", "numbers that the method follows")


def _where(tables: Tables, **values: str) -> Tables:
    """The rows of each table that have these values in these columns."""
    columns, wanted = list(values), list(values.values())
    return {name: [table[(table[columns] == wanted).all(axis=1)] for table in found] for name, found in tables.items()}


def _name(panel: Axes, title: str, x: str, y: str) -> None:
    panel.set_title(title, fontsize=9)
    panel.set_xlabel(x)
    panel.set_ylabel(y)
