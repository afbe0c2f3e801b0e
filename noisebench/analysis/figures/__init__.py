"""Figures, each a function from results to a `matplotlib.figure.Figure` that no global state knows of.

- `angles`: where clean and noisy samples stand, as ridges over the epochs;
- `accuracy`: what methods reach, and what is left of it as noise grows;
- `curves`: memorisation, corrections, detection, drift and a method's own numbers over training;
- `plane`: embeddings of a few classes, in two dimensions;
- `faces`: samples beside exemplars of the label given, the label proposed and the truth.
"""

from noisebench.analysis.figures.accuracy import accuracy_by_method, accuracy_over_rate
from noisebench.analysis.figures.angles import TRUE_CLASS, angle_densities, angle_distributions
from noisebench.analysis.figures.curves import (
    centre_drift,
    correction_curves,
    detection_by_epoch,
    detection_curves,
    memorisation_curves,
    state_curves,
)
from noisebench.analysis.figures.faces import gallery_figure
from noisebench.analysis.figures.plane import embedding_map
from noisebench.analysis.figures.style import KIND_COLOURS, STYLE, NothingToDrawError, write_figure

__all__ = [
    "KIND_COLOURS",
    "STYLE",
    "TRUE_CLASS",
    "NothingToDrawError",
    "accuracy_by_method",
    "accuracy_over_rate",
    "angle_densities",
    "angle_distributions",
    "centre_drift",
    "correction_curves",
    "detection_by_epoch",
    "detection_curves",
    "embedding_map",
    "gallery_figure",
    "memorisation_curves",
    "state_curves",
    "write_figure",
]
