"""How well a score tells noisy samples from clean ones: ROC, area under it, average precision, best F1.

All of them are exact: they follow from how many clean and noisy samples have each distinct value of the score, which is
all that is kept of an epoch. A sample is called noisy where its score is at or above a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.run_log import EpochSamples
from noisebench.noise.manifest import KINDS
from noisebench.noise.schema import CLEAN, CLOSED, OPEN

NOISES = {"all": (CLOSED, OPEN), "closed": (CLOSED,), "open": (OPEN,)}
"""What is to be told from the clean samples."""
FALSE_POSITIVE_RATES = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """How many samples of each kind have each value of a score.

    Attributes:
        values: Distinct values, ascending, [V].
        counts: int64 [V, 3], by kind in the order of ``KINDS``.
    """

    values: NDArray[np.floating]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, score: NDArray[np.floating], kind: NDArray[np.int8]) -> ScoreCounts:
        """Count; samples whose score is not finite are left out."""
        finite = np.isfinite(score)
        each = [np.unique(score[finite & (kind == code)], return_counts=True) for code in range(len(KINDS))]
        values = np.unique(np.concatenate([distinct for distinct, _ in each]))
        counts = np.zeros((len(values), len(KINDS)), np.int64)
        for code, (distinct, count) in enumerate(each):
            counts[np.searchsorted(values, distinct), code] = count
        return cls(values, counts)

    def against_clean(self, noise: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of noisy samples ("all", "closed" or "open") and of clean ones of each value, [V] each."""
        return self.counts[:, list(NOISES[noise])].sum(axis=1), self.counts[:, CLEAN]


@dataclass(frozen=True)
class Detection:
    """How well noisy samples are told from clean ones; NaN where there are none of either.

    Attributes:
        auc: Area under the ROC curve: how often a noisy sample scores above a clean one, ties counting half.
        average_precision: Mean precision over the recalls reached, a step for each distinct score.
        best_f1: Largest harmonic mean of precision and recall over all thresholds.
        threshold: The score it is reached at, the highest if there are several.
        precision: There.
        recall: There.
    """

    auc: float
    average_precision: float
    best_f1: float
    threshold: float
    precision: float
    recall: float


def detect(values: NDArray[np.floating], noisy: NDArray[np.int64], clean: NDArray[np.int64]) -> Detection:
    """Measure detection from the number of noisy and clean samples of each score, ascending, [V] each."""
    if not noisy.any() or not clean.any():
        return Detection(*[float("nan")] * 6)
    there = noisy + clean > 0
    values, noisy, clean = values[there], noisy[there], clean[there]
    found, false = noisy[::-1].cumsum(), clean[::-1].cumsum()
    below = clean.cumsum() - clean
    auc = (noisy * (below + clean / 2)).sum() / (float(found[-1]) * false[-1])
    precision, recall = found / (found + false), found / found[-1]
    f1 = 2 * found / (found + false + found[-1])
    best = int(f1.argmax())
    return Detection(
        auc=float(auc),
        average_precision=float((np.diff(recall, prepend=0) * precision).sum()),
        best_f1=float(f1[best]),
        threshold=float(values[::-1][best]),
        precision=float(precision[best]),
        recall=float(recall[best]),
    )


def roc(noisy: NDArray[np.int64], clean: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ROC curve, from (0, 0) to (1, 1): false and true positive rates, [V + 1] each, a corner for each score."""
    found, false = (np.concatenate([[0], counts[::-1].cumsum()]) for counts in (noisy, clean))
    return false / false[-1], found / found[-1]


def scores(samples: EpochSamples) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every score that the log tells, by name; the higher, the more likely is noise.

    - ``angle``: to the label given.
    - ``angle_gap``: that, less the angle to the nearest other class.
    - ``loss_bound``: cos(nearest other class) - cos(label). The log holds no loss, which depends on all classes; the
      softmax over these two alone is a lower bound of it, log(1 + exp(scale * loss_bound)), and ranks samples as
      ``loss_bound`` does. Any margin makes the loss larger, so methods of every kind of margin can be compared.
    - ``low_norm``: the negative norm of the embedding.
    """
    yield "angle", samples.angle_label
    yield "angle_gap", samples.angle_label - samples.angle_nearest
    yield "loss_bound", np.cos(samples.angle_nearest) - np.cos(samples.angle_label)
    yield "low_norm", -samples.norm


def count_scores(samples: EpochSamples) -> dict[str, ScoreCounts]:
    """`ScoreCounts` of every score of an epoch."""
    return {name: ScoreCounts.of(score, samples.kind) for name, score in scores(samples)}


def detection(epoch: int, counted: dict[str, ScoreCounts]) -> pd.DataFrame:
    """Detection of noise in one epoch.

    Returns:
        A row for each score and noise (all, closed, open) there is: ``epoch``, ``score``, ``noise``, the number of
        ``noisy`` and ``clean`` samples, and the fields of `Detection`.
    """
    rows = []
    for name, score in counted.items():
        for noise in NOISES:
            noisy, clean = score.against_clean(noise)
            if noise == "all" or noisy.any():
                numbers = {"noisy": noisy.sum(), "clean": clean.sum()}
                measured = vars(detect(score.values, noisy, clean))
                rows.append({"epoch": epoch, "score": name, "noise": noise, **numbers, **measured})
    return pd.DataFrame(rows)


def detection_curves(epoch: int, counted: dict[str, ScoreCounts]) -> pd.DataFrame:
    """ROC and precision of one epoch, all noise against clean, at false positive rates 0, 0.01 ... 1.

    Between its corners the ROC is a straight line, as ties broken at random make it; precision follows from both rates.

    Returns:
        ``epoch``, ``score``, ``fpr``, ``tpr``, ``precision``; no rows without noisy or without clean samples.
    """
    parts = [pd.DataFrame({"epoch": [], "score": [], "fpr": [], "tpr": [], "precision": []})]
    for name, score in counted.items():
        noisy, clean = score.against_clean("all")
        if noisy.any() and clean.any():
            fpr, tpr = roc(noisy, clean)
            at = _highest(FALSE_POSITIVE_RATES, fpr, tpr)
            found, false = at * noisy.sum(), FALSE_POSITIVE_RATES * clean.sum()
            precision = np.divide(found, found + false, out=np.full(len(at), np.nan), where=found + false > 0)
            columns = {"fpr": FALSE_POSITIVE_RATES, "tpr": at, "precision": precision}
            parts.append(pd.DataFrame({"epoch": epoch, "score": name, **columns}))
    return parts[0] if len(parts) == 1 else pd.concat(parts[1:], ignore_index=True)


def _highest(at: NDArray[np.float64], fpr: NDArray[np.float64], tpr: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve at these false positive rates; where it rises vertically, its upper end."""
    last = np.append(fpr[1:] != fpr[:-1], True)
    return np.asarray(np.interp(at, fpr[last], tpr[last]))
