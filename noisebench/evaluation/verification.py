"""LFW-style verification: ten folds, accuracy and TAR@FAR, exactly as the field computes them, but counted, not looped.

The protocol is that of LFW (Huang et al. 2007) in the form InsightFace evaluates its ``.bin`` files:

- the distance of a pair is the squared L2 distance of its L2-normalised embeddings, in [0, 4];
- a pair is accepted as the same person where its distance is strictly below the threshold;
- the folds are contiguous blocks of pairs in file order; what does not divide evenly makes the first folds one longer;
- *accuracy*: of the thresholds 0, 0.01, ..., 3.99 the first one that is best on the other folds is applied to a fold;
  reported are the mean and the population standard deviation over the folds;
- *TAR@FAR*: of the thresholds 0, 0.001, ..., 3.999 the largest one whose false accept rate on the other folds is at
  most the target is applied to a fold; reported is the mean over the folds that hold a pair of the same person.
  InsightFace interpolates the threshold instead, which is ambiguous where false accept rates repeat (and they do);
- *AUC* and *EER* are of all pairs at once, without folds; see `noisebench.evaluation.roc` for what ties come to.

Every count behind these numbers is an integer, so they equal a direct loop over the thresholds to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noisebench.errors import UserError
from noisebench.evaluation.roc import Roc

NUM_FOLDS = 10
FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3)
ACCURACY_THRESHOLDS = np.arange(0, 4, 0.01)
FAR_THRESHOLDS = np.arange(0, 4, 0.001)

_PAIRS_A_BLOCK = 128  # their vectors stay in the processor's cache


@dataclass(frozen=True)
class VerificationResult:
    """What verification over folds came to.

    Attributes:
        accuracy: Mean over folds, 0..1.
        accuracy_std: Population standard deviation over folds.
        fold_accuracies: Accuracy of each fold.
        fold_thresholds: Threshold of squared distance applied to each fold for its accuracy.
        tar_at_far: True accept rate by target false accept rate. A target is left out where the set cannot resolve
            it: the training folds hold fewer pairs of different people than 1 / target.
        auc: Area under the ROC of all pairs: the chance that a pair of one person is closer than a pair of two, where
            a tie counts one half.
        eer: The rate at which false accepts and false rejects are equal, on the straight line between ROC points.
    """

    accuracy: float
    accuracy_std: float
    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]
    tar_at_far: dict[float, float]
    auc: float
    eer: float


def verify(
    embeddings_a: NDArray[np.floating], embeddings_b: NDArray[np.floating], same: ArrayLike, folds: int = NUM_FOLDS
) -> VerificationResult:
    """Verify pairs of embeddings.

    Args:
        embeddings_a: [P, D] first image of each pair; need not be normalised.
        embeddings_b: [P, D] second image of each pair.
        same: [P] whether the pair shows one person.
        folds: Number of folds.

    Raises:
        UserError: Shapes do not agree, an embedding is not finite, the pairs are fewer than the folds, or all of them
            are of one kind.
    """
    return verify_distances(squared_distances(embeddings_a, embeddings_b), same, folds)


def squared_distances(embeddings_a: NDArray[np.floating], embeddings_b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared L2 distances [P] of L2-normalised embeddings [P, D]; an all-zero embedding stays zero.

    Raises:
        UserError: The shapes are not two equal [P, D], or an embedding is not finite.
    """
    check_embeddings(embeddings_a, embeddings_b)
    distances = np.empty(len(embeddings_a))
    for start in range(0, len(distances), _PAIRS_A_BLOCK):
        pairs = slice(start, start + _PAIRS_A_BLOCK)
        difference = normalise(embeddings_a[pairs])
        difference -= normalise(embeddings_b[pairs])
        np.einsum("pd,pd->p", difference, difference, out=distances[pairs])
    return distances


def verify_distances(distances: NDArray[np.floating], same: ArrayLike, folds: int = NUM_FOLDS) -> VerificationResult:
    """Verify pairs by their squared distances [P]; the rest as in `verify`."""
    labels = np.asarray(same, dtype=bool)
    check_pairs(len(distances), labels, folds)
    if not np.isfinite(distances).all():
        raise UserError(f"the distance of pair {np.flatnonzero(~np.isfinite(distances))[0]} is not finite")
    fold = fold_of_pairs(len(labels), folds)
    accuracies, thresholds = _fold_accuracies(distances, labels, fold, folds)
    roc = Roc.of(-distances, labels)
    return VerificationResult(
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        fold_accuracies=tuple(accuracies.tolist()),
        fold_thresholds=tuple(thresholds.tolist()),
        tar_at_far=_tar_at_far(distances, labels, fold, folds),
        auc=roc.auc(),
        eer=roc.eer(),
    )


def check_embeddings(embeddings_a: NDArray[np.floating], embeddings_b: NDArray[np.floating]) -> None:
    """Check that both are finite and of one shape [P, D].

    Raises:
        UserError: They are not; the first pair that is not finite is named.
    """
    if embeddings_a.ndim != 2 or embeddings_a.shape != embeddings_b.shape:
        raise UserError(
            f"embeddings of pairs have shapes {embeddings_a.shape} and {embeddings_b.shape}: expected two equal [P, D]"
        )
    finite = np.isfinite(embeddings_a).all(axis=1) & np.isfinite(embeddings_b).all(axis=1)
    if not finite.all():
        first = np.argmin(finite)
        raise UserError(f"{np.sum(~finite)} pairs have an embedding that is not finite, the first is pair {first}")


def check_pairs(num_pairs: int, labels: NDArray[np.bool_], folds: int) -> None:
    """Check that there are as many labels as pairs, of both kinds, and enough for the folds.

    Raises:
        UserError: There are not.
    """
    if labels.ndim != 1 or num_pairs != len(labels):
        raise UserError(f"{num_pairs} pairs of embeddings but {labels.size} same/different labels")
    if len(labels) < folds:
        raise UserError(f"{len(labels)} pairs are too few for {folds} folds")
    if labels.all() or not labels.any():
        kind = "the same person" if labels.all() else "different people"
        raise UserError(f"all {len(labels)} pairs are of {kind}: verification needs both kinds")


def _fold_accuracies(
    distances: NDArray[np.floating], labels: NDArray[np.bool_], fold: NDArray[np.intp], folds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and threshold of each fold, the threshold being the first that is best on the other folds."""
    accepted = _count_accepted(distances[labels], fold[labels], folds, ACCURACY_THRESHOLDS)
    falsely_accepted = _count_accepted(distances[~labels], fold[~labels], folds, ACCURACY_THRESHOLDS)
    different = np.bincount(fold[~labels], minlength=folds)
    correct = accepted + different[:, None] - falsely_accepted
    best = np.argmax(correct.sum(axis=0) - correct, axis=1)
    return correct[np.arange(folds), best] / np.bincount(fold, minlength=folds), ACCURACY_THRESHOLDS[best]


def _tar_at_far(
    distances: NDArray[np.floating], labels: NDArray[np.bool_], fold: NDArray[np.intp], folds: int
) -> dict[float, float]:
    """Mean true accept rate over folds by target false accept rate."""
    accepted = _count_accepted(distances[labels], fold[labels], folds, FAR_THRESHOLDS)
    falsely_accepted = _count_accepted(distances[~labels], fold[~labels], folds, FAR_THRESHOLDS)
    same = np.bincount(fold[labels], minlength=folds)
    different = np.bincount(fold[~labels], minlength=folds)
    training_different = different.sum() - different
    training_accepts = falsely_accepted.sum(axis=0) - falsely_accepted
    tested = np.flatnonzero(same)
    rates = {}
    for target in FALSE_ACCEPT_RATES:
        if training_different.min() < round(1 / target):
            continue
        within = training_accepts / training_different[:, None] <= target
        largest = within.sum(axis=1) - 1  # the rate never falls as the threshold grows, and threshold 0 accepts none
        rates[target] = float(np.mean(accepted[tested, largest[tested]] / same[tested]))
    return rates


def _count_accepted(
    distances: NDArray[np.floating], fold: NDArray[np.intp], folds: int, thresholds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Number of distances strictly below each threshold in each fold, [folds, T]."""
    first_accepting = np.searchsorted(thresholds, distances, side="right")
    num_bins = len(thresholds) + 1  # the last bin holds distances that no threshold accepts
    histogram = np.bincount(fold * num_bins + first_accepting, minlength=folds * num_bins)
    return np.cumsum(histogram.reshape(folds, num_bins), axis=1)[:, :-1]


def fold_of_pairs(num_pairs: int, folds: int) -> NDArray[np.intp]:
    """The fold of each pair: contiguous blocks, the first ``num_pairs % folds`` of them one pair longer."""
    sizes = np.full(folds, num_pairs // folds)
    sizes[: num_pairs % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def normalise(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Embeddings [N, D] at unit length; an all-zero one stays zero."""
    vectors = embeddings.astype(np.float64)
    norms = np.sqrt(np.einsum("pd,pd->p", vectors, vectors))
    norms[norms == 0] = 1
    vectors /= norms[:, None]
    return vectors
