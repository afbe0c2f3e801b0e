"""Samples worth looking at, beside exemplars of the label given, the label proposed and the truth."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from noisebench.analysis.figures.style import INK, KIND_COLOURS, STYLE, NothingToDrawError
from noisebench.analysis.gallery import COLUMNS, Gallery, GalleryRow
from noisebench.formats.jpeg import decode

# All lengths in inches.
_IMAGE = 0.78  # side
_GAP = 0.06  # between images
_GROUP_GAP = 0.24  # between groups
_CAPTION = 0.17  # above the images of a group
_ROW_GAP = 0.16
_TOP, _MARGIN = 0.62, 0.15


def gallery_figure(gallery: Gallery) -> Figure:
    """One row a sample: the image, then clean images of each class it might be of.

    Raises:
        NothingToDrawError: The gallery is empty.
    """
    if not gallery.rows:
        raise NothingToDrawError(f"no such sample to show: {gallery.title}")
    starts = _starts(gallery)
    width = starts[-1] - _GROUP_GAP + _MARGIN
    height = _TOP + len(gallery.rows) * (_CAPTION + _IMAGE + _ROW_GAP)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        figure.text(_MARGIN / width, 1 - 0.24 / height, gallery.title, fontsize=10.5, fontweight="bold", color=INK)
        for heading, left in zip(("image", *COLUMNS), starts, strict=False):
            figure.text(left / width, 1 - 0.5 / height, heading, fontsize=9, color="#555555")
        for number, row in enumerate(gallery.rows):
            _draw_row(figure, row, starts, _TOP + number * (_CAPTION + _IMAGE + _ROW_GAP))
    return figure


def _starts(gallery: Gallery) -> list[float]:
    """Where the sample and each group of exemplars begin, and where the last one ends."""
    widest = [1] + [max(max(len(row.groups[place].images) for row in gallery.rows), 1) for place in range(len(COLUMNS))]
    steps = [count * (_IMAGE + _GAP) - _GAP + _GROUP_GAP for count in widest]
    return [float(start) for start in _MARGIN + np.cumsum([0.0, *steps])]


def _draw_row(figure: Figure, row: GalleryRow, starts: list[float], top: float) -> None:
    _draw_group(figure, row.caption, (row.image,), starts[0], top, KIND_COLOURS[row.kind])
    for group, left in zip(row.groups, starts[1:], strict=False):
        _draw_group(figure, group.caption, group.images, left, top, "#BBBBBB")


def _draw_group(figure: Figure, caption: str, images: tuple[bytes, ...], left: float, top: float, colour: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - (top + 0.11) / height, caption, fontsize=7, color=INK)
    for place, image in enumerate(images):
        start = left + place * (_IMAGE + _GAP)
        bottom = 1 - (top + _CAPTION + _IMAGE) / height
        axes = figure.add_axes((start / width, bottom, _IMAGE / width, _IMAGE / height))
        axes.imshow(decode(image), aspect="auto", interpolation="antialiased")
        axes.set_axis_off()
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=colour, linewidth=2))
