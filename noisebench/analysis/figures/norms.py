"""Norms of embeddings against blur: whether the norm stands for the quality of the image, as AdaFace takes it to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noisebench.analysis.figures.lines import BAND, PANELS_ACROSS
from noisebench.analysis.figures.style import COLOURS, NothingToDrawError, drawing, finish, grid, shortened
from noisebench.analysis.quality import norm_by_sharpness, rank_correlation

CUT = (0.5, 99.5)
"""Percentiles of the norms between which the vertical axis lies: a few extremes do not flatten the rest."""


def norms_by_blur(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Norms over the sharpness of the image, a panel a method: images, and mean ± standard deviation by tenth of them.

    Sharpness is shown as its percentile, from the most blurred image to the sharpest, so that panels are alike.

    Args:
        tables: ``norm_sharpness`` of a run of each method.

    Raises:
        NothingToDrawError: There is nothing to draw.
    """
    there = {name: known for name, table in tables.items() if len(known := _known(table)) > 1}
    if not there:
        raise NothingToDrawError("no norms and sharpness to draw: 'noisebench analyze RUN --data DIR' measures them")
    with drawing():
        figure, panels = grid(len(there), 2.3, 2.2, columns=PANELS_ACROSS, above=0.6)
        for panel, (name, table) in zip(panels, there.items(), strict=True):
            _draw(panel, table["norm"].to_numpy(np.float64), table["sharpness"].to_numpy(np.float64))
            panel.set_title(shortened(name), fontsize=9, fontweight="bold")
        figure.supxlabel("percentile of sharpness, from the most blurred image to the sharpest", fontsize=9)
        figure.supylabel("norm of the embedding", fontsize=9)
        finish(panels)
    return figure


def _known(table: pd.DataFrame) -> pd.DataFrame:
    known: pd.DataFrame = table[np.isfinite(table["norm"]) & np.isfinite(table["sharpness"])]
    return known


def _draw(panel: Axes, norm: np.ndarray, sharpness: np.ndarray) -> None:
    percentile = 100 * (pd.Series(sharpness).rank() - 0.5) / len(sharpness)
    panel.plot(percentile, norm, ".", color="#999999", markersize=2, alpha=0.4, rasterized=True)
    tenths = norm_by_sharpness(norm, sharpness)
    ends = 100 * tenths["samples"].cumsum() / len(norm)
    middle, mean, std = ends - 50 * tenths["samples"] / len(norm), tenths["norm_mean"], tenths["norm_std"].fillna(0)
    panel.fill_between(middle, mean - std, mean + std, color=COLOURS[0], alpha=BAND, linewidth=0)
    panel.plot(middle, mean, color=COLOURS[0], marker="o", markersize=3.5, markeredgecolor="white", linewidth=1.6)
    low, high = np.percentile(norm, CUT)
    reach = 0.08 * (high - low) or 1.0
    panel.set_ylim(low - reach, high + reach)
    panel.text(
        *(0.03, 0.97, f"rank correlation {round(rank_correlation(norm, sharpness), 2) + 0.0:+.2f}"),
        transform=panel.transAxes,
        va="top",
        fontsize=7.5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )
