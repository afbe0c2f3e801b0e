"""Sub-centres: whether noise gathers away from the sub-centre that most samples of a class are nearest to.

Source: Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web Faces", ECCV 2020, whose
four shares (dominant or not, clean or noisy) these are. With K = 3 on MS1MV0 the later ArcFace manuscript gives 57.24 %
dominant and clean, 12.40 % dominant and noisy, 4.28 % non-dominant and clean, 26.08 % non-dominant and noisy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.run_log import EpochSamples
from noisebench.errors import UserError
from noisebench.noise.schema import CLEAN


@dataclass(frozen=True)
class SubCentreShares:
    """The four shares of all samples; they add up to 1."""

    dominant_clean: float
    dominant_noisy: float
    other_clean: float
    other_noisy: float


def dominant_sub_centres(
    label: NDArray[np.integer], sub_centre: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """The sub-centre that most samples labelled with a class are nearest to, the first of equals; int64 [C].

    Args:
        label: Labels given, [N].
        sub_centre: Nearest sub-centre of the label's class, from 0, [N].
        num_classes: C.
    """
    num_sub_centres = int(sub_centre.max(initial=0)) + 1
    place = label.astype(np.int64) * num_sub_centres + sub_centre
    counts = np.bincount(place, minlength=num_classes * num_sub_centres)
    return np.asarray(counts.reshape(num_classes, num_sub_centres).argmax(axis=1))


def sub_centre_shares(
    label: NDArray[np.integer], sub_centre: NDArray[np.integer], noisy: NDArray[np.bool_]
) -> SubCentreShares:
    """The four shares, of arrays [N]: labels given, nearest sub-centre of the label's class, whether it is noisy."""
    dominant = dominant_sub_centres(label, sub_centre, int(label.max()) + 1)[label] == sub_centre
    return SubCentreShares(
        dominant_clean=float((dominant & ~noisy).mean()),
        dominant_noisy=float((dominant & noisy).mean()),
        other_clean=float((~dominant & ~noisy).mean()),
        other_noisy=float((~dominant & noisy).mean()),
    )


def sub_centres(samples: EpochSamples) -> pd.DataFrame:
    """The four shares of one epoch: ``epoch`` and the fields of `SubCentreShares`.

    Raises:
        UserError: The sample log does not tell sub-centres.
    """
    if samples.sub_centre is None:
        raise UserError("the sample log has no column 'sub_centre': its method has one centre a class, or is older")
    shares = sub_centre_shares(samples.label, samples.sub_centre, samples.kind != CLEAN)
    return pd.DataFrame([{"epoch": samples.epoch, **vars(shares)}])
