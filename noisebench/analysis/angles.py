"""Where samples stand: histograms of their angles to the label given, to the true class, to the nearest other class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from noisebench.analysis.run_log import EpochSamples, by_kind
from noisebench.noise.manifest import KINDS

ANGLES = ("label", "true", "nearest")
NUM_BINS = 180
"""Of a degree each."""


def angle_histograms(samples: EpochSamples) -> pd.DataFrame:
    """Histograms of the angles of one epoch, by what was done to the samples.

    Returns:
        ``epoch``, ``kind`` (clean, closed, open), ``angle`` (label, true, nearest), ``degrees`` (left edge of a bin of
        one degree; the last holds 180 too) and ``samples`` (their number). All 180 bins of each kind that has samples;
        none of the angle to the true class where there is none.
    """
    groups = list(by_kind(samples.kind))
    parts = []
    for name in ANGLES:
        angle = getattr(samples, f"angle_{name}")
        is_known = ~np.isnan(angle)
        bins = np.minimum(np.degrees(angle[is_known].astype(np.float64)).astype(np.int64), NUM_BINS - 1)
        bins += NUM_BINS * samples.kind[is_known].astype(np.int64)
        counts = np.bincount(bins, minlength=NUM_BINS * len(KINDS)).reshape(len(KINDS), NUM_BINS)
        parts += [
            pd.DataFrame({"kind": kind, "angle": name, "degrees": np.arange(NUM_BINS), "samples": count})
            for kind, count in zip(KINDS, counts, strict=True)
            if kind in groups and count.any()
        ]
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(0, "epoch", samples.epoch)
    return frame
