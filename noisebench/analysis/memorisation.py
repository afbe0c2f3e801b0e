"""Early learning and memorisation: what class each sample is fitted to, epoch by epoch.

Source of the curves: Liu et al., "Early-Learning Regularization Prevents Memorization of Noisy Labels", NeurIPS 2020. A
sample is fitted to the class whose centre is nearest to it; margins play no part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from noisebench.analysis.run_log import EpochSamples, by_kind
from noisebench.noise.schema import OPEN


def memorisation(samples: EpochSamples) -> pd.DataFrame:
    """What the samples of one epoch are fitted to, by what was done to them.

    Returns:
        A row for each kind there is: ``epoch``, ``kind``, ``samples`` (their number) and the shares of them that are
        fitted to the label given (``to_label``; for noise, this is memorisation), to the true class (``to_true``; NaN
        for open-set noise, whose images show nobody of the set) and to another (``to_other``). For clean samples, label
        and true class are one, so the first two are equal; for the others the three add up to 1, a NaN counting 0. A
        class as near as the label's does not win over it.
    """
    to_label = samples.angle_label <= samples.angle_nearest
    fitted = np.where(to_label, samples.label, samples.nearest)
    to_true = (fitted == samples.true_label) & (samples.kind != OPEN)
    to_other = ~to_label & ~to_true
    rows = [
        {
            "epoch": samples.epoch,
            "kind": kind,
            "samples": int(mask.sum()),
            "to_label": float(to_label[mask].mean()),
            "to_true": float("nan") if kind == "open" else float(to_true[mask].mean()),
            "to_other": float(to_other[mask].mean()),
        }
        for kind, mask in by_kind(samples.kind).items()
    ]
    return pd.DataFrame(rows)
