"""Embeddings of a few classes in two dimensions: whether noise lies with its label or with its truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from noisebench.analysis.embedded_classes import EmbeddedClasses, principal_plane
from noisebench.analysis.figures.style import COLOURS, INK, KIND_NAMES, drawing
from noisebench.noise.manifest import KINDS

MARKERS = {"clean": "o", "closed": "X", "open": "^"}
SIZES = {"clean": 20, "closed": 52, "open": 40}


def embedding_map(embedded: EmbeddedClasses, title: str = "") -> Figure:
    """The plane of largest variance of the embeddings of a few classes.

    A point is an image, its colour the label it bears; a cross is closed-set noise, filled with the colour of its true
    class where that is shown, else white; a triangle is open-set noise. Crosses of another colour's class that lie
    with their own fill have been seen through.

    Args:
        embedded: The embeddings and what they are of.
        title: Above the figure.
    """
    plane, share = principal_plane(embedded.vectors)
    colours = {label: COLOURS[place % len(COLOURS)] for place, label in enumerate(embedded.labels)}
    with drawing("white"):
        figure = Figure(figsize=(5.6, 4.3), layout="constrained")
        panel = figure.subplots()
        for code, kind in enumerate(KINDS):
            points = np.flatnonzero(embedded.kind == code)
            own = [colours[label] for label in embedded.label[points].tolist()]
            true = [colours.get(label, "white") for label in embedded.true_label[points].tolist()]
            fills = {"clean": own, "closed": true, "open": ["white"] * len(own)}
            panel.scatter(
                plane[points, 0],
                plane[points, 1],
                marker=MARKERS[kind],
                s=SIZES[kind],
                facecolors=fills[kind],
                edgecolors=["white"] * len(own) if kind == "clean" else own,
                linewidths=0.4 if kind == "clean" else 1.3,
            )
        panel.set(xticks=[], yticks=[])
        panel.set_aspect("equal", adjustable="datalim")
        panel.set_xlabel(f"first principal axis ({100 * share[0]:.0f} % of the variance)")
        panel.set_ylabel(f"second ({100 * share[1]:.0f} %)")
        panel.set_title(title, fontweight="bold")
        figure.legend(handles=_legend(colours, embedded), loc="outside right upper", frameon=False)
    return figure


def _legend(colours: dict[int, str], embedded: EmbeddedClasses) -> list[Line2D]:
    line: dict[str, Any] = {"linestyle": "", "markersize": 6}
    handles = [
        Line2D([], [], marker="o", color=colour, markeredgecolor="white", label=f"label {label}", **line)
        for label, colour in colours.items()
    ]
    kinds = [kind for code, kind in enumerate(KINDS) if (embedded.kind == code).any()]
    handles += [
        Line2D([], [], marker=MARKERS[kind], color="white", markeredgecolor=INK, label=KIND_NAMES[kind], **line)
        for kind in kinds
    ]
    if "closed" in kinds:
        handles += [Line2D([], [], linestyle="", label=text) for text in ("outline: label given", "fill: true class")]
    return handles
