"""How much noise the distribution of cosines itself tells, beside how much there is.

Source: Hu et al., "Noise-Tolerant Paradigm for Training Face Recognition CNNs", CVPR 2019, and its released code: noisy
samples gather in a top left of the clean ones' in the histogram of the cosines to the labels given. The code keeps a
sliding histogram of the last 1000 batches; here it is that of an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.run_log import EpochSamples
from noisebench.noise.schema import CLEAN

NUM_BINS = 201
"""Over [-1, 1]: bin b holds cosines from b / 100 - 1."""
SMOOTHED = 5
TAIL = 0.005
NEIGHBOURS = ((1, 0), (2, 0), (3, 1), (4, 2), (5, 3))
"""By how many samples, of the mean, a local maximum must exceed the bins at these distances."""


@dataclass(frozen=True)
class NoiseRate:
    """What a histogram of cosines tells of the noise.

    Attributes:
        left_top: Cosine of the left top, the noisy samples', or of the middle where there is none.
        right_top: Cosine of the right top, the clean samples', or of the middle.
        valley: Cosine of the lowest bin between them; NaN where there is no left top.
        twice_left: The code's estimate of the noise rate, twice the share of samples up to the left top: noise is
            taken to be symmetric about it, so that it may exceed 1. 0 where there is no left top.
        below_valley: Share of samples left of the valley; 0 where there is no left top.
    """

    left_top: float
    right_top: float
    valley: float
    twice_left: float
    below_valley: float


def estimate_noise_rate(histogram: NDArray[np.int64]) -> NoiseRate:
    """Estimate the noise rate from a histogram of cosines, int64 [201].

    The histogram is smoothed by a mean over 5 bins. Its middle is that of the bins where its distribution function
    reaches 0.005 and leaves 0.995; the tops are its highest bin and, on that one's other side, the outermost local
    maximum, or the middle where that is further out.
    """
    smooth = np.zeros(NUM_BINS, np.int64)
    smooth[SMOOTHED // 2 : -(SMOOTHED // 2)] = np.convolve(histogram, np.ones(SMOOTHED, np.int64), "valid")
    if not smooth.any():
        return NoiseRate(*[float("nan")] * 5)
    distribution = smooth.cumsum() / smooth.sum()
    left, right = int((distribution < TAIL).sum()), int((distribution <= 1 - TAIL).sum()) - 1
    middle, top = (left + right) // 2, int(smooth.argmax())
    tops = _local_maxima(smooth, left, right)
    if top < middle:
        left_top, right_top = top, max(tops[-1] if tops else top, middle)
    else:
        left_top, right_top = min(tops[0] if tops else top, middle), top
    if left_top >= middle:
        return NoiseRate(_cosine(left_top), _cosine(right_top), float("nan"), 0.0, 0.0)
    valley = left_top + int(smooth[left_top : right_top + 1].argmin())
    below = float(histogram[:valley].sum() / histogram.sum())
    return NoiseRate(_cosine(left_top), _cosine(right_top), _cosine(valley), 2 * float(distribution[left_top]), below)


def noise_rates(samples: EpochSamples) -> pd.DataFrame:
    """The estimated and the true noise rate of one epoch: ``epoch``, ``true_rate`` and the fields of `NoiseRate`."""
    cosine = np.cos(samples.angle_label[np.isfinite(samples.angle_label)])
    bins = np.clip(((cosine + 1) * ((NUM_BINS - 1) / 2)).astype(np.int64), 0, NUM_BINS - 1)
    estimate = estimate_noise_rate(np.bincount(bins, minlength=NUM_BINS))
    true_rate = float((samples.kind != CLEAN).mean())
    return pd.DataFrame([{"epoch": samples.epoch, "true_rate": true_rate, **vars(estimate)}])


def _local_maxima(smooth: NDArray[np.int64], left: int, right: int) -> list[int]:
    """The bins from left to right that exceed their neighbours; beyond the histogram nothing is exceeded."""
    bins = np.arange(NUM_BINS)
    is_top = (bins >= left) & (bins <= right)
    for distance, excess in NEIGHBOURS:
        padded = np.pad(smooth, distance, constant_values=np.iinfo(np.int32).max)
        for neighbour in (padded[: -2 * distance], padded[2 * distance :]):
            is_top &= (smooth >= neighbour) if distance == 1 else (smooth > neighbour + SMOOTHED * excess)
    return [int(number) for number in np.flatnonzero(is_top)]


def _cosine(number: int) -> float:
    return 2 * number / (NUM_BINS - 1) - 1
