"""BoundaryFace's ten folds: features centred on the other folds, compared by cosine.

The protocol of BoundaryFace (Wu and Gong 2022), which it has from SphereFace (Liu et al. 2017). It gives other numbers
than `noisebench.evaluation.verification`, so the two are never to share a column:

- the feature of an image is the raw embedding with that of the mirror image put behind it, 2D numbers;
- for each fold the mean feature of both images of all pairs in the other folds is taken off, and the cosine of a pair
  is that of what is left;
- of the thresholds -1, -0.9999, ..., 1 the mean of all that are best on the other folds is applied to the fold: a pair
  above it is taken for one person, one below it for two, and one right on it is counted as an error either way;
- the folds are contiguous blocks of pairs in file order; what does not divide evenly makes the first folds one longer;
- reported are the mean and the population standard deviation over the folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noisebench.evaluation.verification import NUM_FOLDS, check_embeddings, check_pairs, fold_of_pairs, normalise

THRESHOLDS = np.arange(-10_000, 10_001) / 10_000


@dataclass(frozen=True)
class CentredResult:
    """What the centred folds came to.

    Attributes:
        accuracy: Mean over folds, 0..1.
        accuracy_std: Population standard deviation over folds.
        fold_accuracies: Accuracy of each fold.
        fold_thresholds: Cosine applied to each fold.
    """

    accuracy: float
    accuracy_std: float
    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]


def verify_centred(
    features_a: NDArray[np.floating], features_b: NDArray[np.floating], same: ArrayLike, folds: int = NUM_FOLDS
) -> CentredResult:
    """Verify pairs of features.

    Args:
        features_a: [P, 2D] first image of each pair, not normalised.
        features_b: [P, 2D] second image of each pair.
        same: [P] whether the pair shows one person.
        folds: Number of folds, at least 2.

    Raises:
        UserError: As `noisebench.evaluation.verification.verify`.
    """
    labels = np.asarray(same, dtype=bool)
    check_embeddings(features_a, features_b)
    check_pairs(len(features_a), labels, folds)
    fold = fold_of_pairs(len(labels), folds)
    a, b = features_a.astype(np.float64), features_b.astype(np.float64)
    accuracies, thresholds = [], []
    for number in range(folds):
        test = fold == number
        cosines = centred_cosines(a, b, ~test)
        threshold = best_threshold(cosines[~test], labels[~test])
        right = np.where(labels, cosines > threshold, cosines < threshold)[test]
        accuracies.append(np.count_nonzero(right) / len(right))
        thresholds.append(threshold)
    return CentredResult(float(np.mean(accuracies)), float(np.std(accuracies)), tuple(accuracies), tuple(thresholds))


def centred_cosines(
    features_a: NDArray[np.float64], features_b: NDArray[np.float64], train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Cosines [P] of pairs of features [P, D] less the mean over both features of the ``train`` pairs, bool [P]."""
    centre = (features_a[train].mean(axis=0) + features_b[train].mean(axis=0)) / 2
    cosines: NDArray[np.float64] = np.einsum("pd,pd->p", normalise(features_a - centre), normalise(features_b - centre))
    return cosines


def best_threshold(cosines: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The mean of the thresholds that are right about most of the pairs [P]."""
    genuine, impostor = np.sort(cosines[same]), np.sort(cosines[~same])
    above = len(genuine) - np.searchsorted(genuine, THRESHOLDS, side="right")
    right = above + np.searchsorted(impostor, THRESHOLDS, side="left")
    return float(np.mean(THRESHOLDS[right == right.max()]))
