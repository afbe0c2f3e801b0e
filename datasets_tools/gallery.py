"""A picture of what label noise looks like: for some labels, images that bear them, sorted by what was done to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from noisebench.analysis.figures import KIND_COLOURS, STYLE
from noisebench.files import whole_file
from noisebench.formats.training_set import TrainingSet
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.schema import CLEAN, CLOSED, FROM_OUTLIERS

HEADINGS = {"clean": "clean", "closed": "closed-set", "open": "open-set"}
MIN_COLUMNS = 4

# All lengths in inches.
_IMAGE = 0.86  # side
_GAP = 0.1  # between images
_GROUP_GAP = 0.26  # between kinds
_CAPTION = 0.2  # below an image
_LEFT, _TOP, _MARGIN = 0.85, 0.92, 0.15

_Columns = Mapping[int, range]
"""The columns of images of each kind."""


def gallery(
    manifest: Manifest, base: TrainingSet, outliers: TrainingSet | None, num_labels: int = 6, num_columns: int = 10
) -> Figure:
    """Draw one row of images a label, each image framed in the colour of its kind, with its truth below.

    Args:
        manifest: What each image shows, and the label it bears.
        base: The set the manifest was made for.
        outliers: The set its open-set images come from, if there are any.
        num_labels: How many labels to show: those with most noise to see, of equal ones the lowest.
        num_columns: How many images of each, at least 4; about half of them noisy where there is noise.

    Raises:
        UserError: The outlier set is missing, or the noise is drawn anew for every batch.
        FileError: The manifest was made for other data, or an image is unusable.
    """
    manifest.check_against(base, outliers)
    manifest.origin.recipe.check_is_by_sample()
    columns = _columns(manifest, num_columns)
    labels = _labels_to_show(manifest, columns, num_labels)
    width = _LEFT + num_columns * (_IMAGE + _GAP) - _GAP + (len(columns) - 1) * _GROUP_GAP + _MARGIN
    height = _TOP + len(labels) * (_IMAGE + _CAPTION + _GAP) - _GAP + _MARGIN
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        _write_headings(figure, manifest, columns)
        for row, label in enumerate(labels.tolist()):
            top = _TOP + row * (_IMAGE + _CAPTION + _GAP)
            place = (_LEFT - 2 * _GAP) / width, 1 - (top + _IMAGE / 2) / height
            figure.text(*place, f"label\n{label}", ha="right", va="center", fontsize=9, color="#222222")
            for group, (kind, places) in enumerate(columns.items()):
                chosen = np.flatnonzero((manifest.label == label) & (manifest.kind == kind))[: len(places)]
                for column, image in zip(places, chosen.tolist(), strict=False):
                    axes = figure.add_axes(_box(figure, _left(column, group), top, _IMAGE, _IMAGE))
                    _draw_image(axes, manifest, image, base, outliers)
    return figure


def write_gallery(figure: Figure, path: Path) -> None:
    """Save a gallery as PNG, whole or not at all.

    Raises:
        FileError: The file could not be written.
    """
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, facecolor="white")


def _columns(manifest: Manifest, num_columns: int) -> _Columns:
    """How the columns are shared out: half of them for noise, as far as there is noise."""
    noises = [kind for kind in np.unique(manifest.kind).tolist() if kind != CLEAN]
    if num_columns < MIN_COLUMNS:
        raise ValueError(f"{num_columns} columns; expected at least {MIN_COLUMNS}")
    if not noises:
        return {CLEAN: range(num_columns)}
    each = math.ceil(num_columns / 2 / len(noises))
    first = num_columns - each * len(noises)
    begins = {kind: first + number * each for number, kind in enumerate(noises)}
    return {CLEAN: range(first)} | {kind: range(begin, begin + each) for kind, begin in begins.items()}


def _labels_to_show(manifest: Manifest, columns: _Columns, num_labels: int) -> NDArray[np.int64]:
    """The labels whose rows are the fullest, ascending."""
    filled = np.zeros(manifest.num_train_classes, dtype=np.int64)
    for kind, places in columns.items():
        images = np.bincount(manifest.label[manifest.kind == kind], minlength=len(filled))
        filled += np.minimum(images, len(places))
    return np.sort(np.argsort(-filled, kind="stable")[:num_labels])


def _write_headings(figure: Figure, manifest: Manifest, columns: _Columns) -> None:
    width, height = figure.get_size_inches()
    title = f"{manifest.origin.recipe.name}, seed {manifest.origin.seed}: each row bears one label"
    figure.text(_MARGIN / width, 1 - 0.28 / height, title, fontsize=10.5, fontweight="bold", color="#222222")
    for group, (kind, places) in enumerate(columns.items()):
        left, right = _left(places.start, group), _left(places.stop - 1, group) + _IMAGE
        colour = KIND_COLOURS[KINDS[kind]]
        heading = HEADINGS[KINDS[kind]]
        figure.text(left / width, 1 - 0.68 / height, heading, fontsize=9, color=colour, fontweight="bold")
        rule = figure.add_axes(_box(figure, left, 0.75, right - left, 0.025))
        rule.set_facecolor(colour)
        rule.set(xticks=[], yticks=[])
        rule.spines[:].set_visible(False)


def _draw_image(axes: Axes, manifest: Manifest, row: int, base: TrainingSet, outliers: TrainingSet | None) -> None:
    faces = outliers if manifest.source[row] == FROM_OUTLIERS and outliers is not None else base
    colour = KIND_COLOURS[KINDS[manifest.kind[row]]]
    axes.imshow(faces.image(int(manifest.source_index[row])), aspect="auto", interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=colour, linewidth=2.2)
    axes.set_xlabel(_truth(manifest, row), fontsize=8, color=colour, labelpad=2.5)


def _truth(manifest: Manifest, row: int) -> str:
    """Whom an image shows, where that is not its label."""
    if manifest.kind[row] == CLEAN:
        return ""
    if manifest.kind[row] == CLOSED:
        return f"truly {manifest.true_label[row]}"
    return f"outsider {manifest.source_label[row]}" if manifest.source[row] == FROM_OUTLIERS else "outsider"


def _left(column: int, group: int) -> float:
    """Where a column begins, in inches."""
    return _LEFT + column * (_IMAGE + _GAP) + group * _GROUP_GAP


def _box(figure: Figure, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
    """A rectangle, in inches from the upper left corner, as matplotlib asks for it."""
    whole_width, whole_height = figure.get_size_inches()
    return left / whole_width, 1 - (top + height) / whole_height, width / whole_width, height / whole_height
