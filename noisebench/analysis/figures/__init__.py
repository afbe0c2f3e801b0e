"""Figures, each a function from results to a `matplotlib.figure.Figure` that no global state knows of.

- `angles`: where clean and noisy samples stand, as ridges over the epochs;
- `accuracy`: what methods reach, and what is left of it as noise grows;
- `curves`: loss, memorisation, corrections, detection, the noise rate and a method's own numbers over training;
- `centres`: how far class centres move, where they end beside the truth, and what gathers at sub-centres;
- `norms`: norms of embeddings against blur;
- `plane`: embeddings of a few classes, in two dimensions;
- `faces`: samples beside exemplars of the label given, the label proposed and the truth.
"""

from noisebench.analysis.figures.accuracy import accuracy_by_method, accuracy_over_rate
from noisebench.analysis.figures.angles import TRUE_CLASS, angle_densities, angle_distributions
from noisebench.analysis.figures.centres import centre_drift, centres_beside_truth, sub_centre_shares
from noisebench.analysis.figures.curves import (
    correction_curves,
    detection_by_epoch,
    detection_curves,
    loss_curves,
    memorisation_curves,
    noise_rate_curves,
    state_curves,
)
from noisebench.analysis.figures.faces import gallery_figure
from noisebench.analysis.figures.norms import norms_by_blur
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
    "centres_beside_truth",
    "correction_curves",
    "detection_by_epoch",
    "detection_curves",
    "embedding_map",
    "gallery_figure",
    "loss_curves",
    "memorisation_curves",
    "noise_rate_curves",
    "norms_by_blur",
    "state_curves",
    "sub_centre_shares",
    "write_figure",
]
