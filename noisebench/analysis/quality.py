"""Whether the norm of an embedding stands for the quality of its image, as AdaFace takes it to: norms against blur.

Blur is measured as the variance of the image's Laplacian, the lower the blurrier: Pech-Pacheco et al., "Diatom
autofocusing in brightfield microscopy: a comparative study", ICPR 2000. It is no measure of AdaFace's (Kim et al., CVPR
2022), so tendencies may be compared with its figures, numbers not.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.run_log import EpochSamples
from noisebench.data.dataset import NoisyFaces
from noisebench.noise.counter import bits
from noisebench.noise.schema import KINDS, OPEN

IMAGES_AT_ONCE = 256


def sharpness(image: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of an RGB image [H, W, 3], in grey levels squared."""
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def norms_and_sharpness(samples: EpochSamples, faces: NoisyFaces, num_samples: int, threads: int = 1) -> pd.DataFrame:
    """Norm and sharpness of some samples of an epoch, drawn by hash of the manifest's seed.

    Where noise is drawn by batch, samples that showed an outlier's image are left out.

    Returns:
        ``row``, ``kind`` (clean, closed, open), ``sharpness`` of its image and ``norm`` of its embedding.
    """
    manifest = faces.manifest
    own_image = np.ones(len(samples), np.bool_)
    if manifest.origin.recipe.per_batch is not None:
        own_image = samples.kind != OPEN
    places = np.flatnonzero(own_image)
    draw = np.argsort(bits(manifest.origin.seed, "sharpness", samples.row[places]), kind="stable")
    places = np.sort(places[draw[:num_samples]])
    values = [
        sharpness(image)
        for start in range(0, len(places), IMAGES_AT_ONCE)
        for image in faces.images(samples.row[places[start : start + IMAGES_AT_ONCE]], threads)
    ]
    return pd.DataFrame(
        {
            "row": samples.row[places],
            "kind": np.array(KINDS)[samples.kind[places]],
            "sharpness": values,
            "norm": samples.norm[places],
        }
    )


def norm_by_sharpness(norm: NDArray[np.floating], sharpness: NDArray[np.floating], num_bins: int = 10) -> pd.DataFrame:
    """Norms by quantiles of sharpness, arrays [N].

    Returns:
        A row for each bin, from blurred to sharp: ``sharpness_above`` (exclusive, but for the first) and
        ``sharpness_up_to``, the number of ``samples``, and mean and sample standard deviation of their norms
        (``norm_mean``, ``norm_std``). Fewer bins where samples are few or equally sharp.
    """
    bins, edges = pd.qcut(sharpness, num_bins, labels=False, retbins=True, duplicates="drop")
    norms = pd.Series(norm.astype(np.float64)).groupby(bins)
    there = np.unique(bins[np.isfinite(bins)]).astype(np.int64)  # with fewer images than bins, some are empty
    return pd.DataFrame(
        {
            "sharpness_above": edges[there],
            "sharpness_up_to": edges[there + 1],
            "samples": norms.size(),
            "norm_mean": norms.mean(),
            "norm_std": norms.std(),
        }
    )


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two arrays [N]; equal values share their mean rank. NaN where one is constant."""
    return float(pd.Series(a).rank().corr(pd.Series(b).rank()))
