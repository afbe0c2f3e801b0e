"""The receiver operating characteristic of scored pairs, in whole numbers, so that what is read off it is exact.

An operating point accepts every pair whose score is at least some value that occurs; pairs of equal score are accepted
together. The points begin with the one that accepts nothing and end with the one that accepts everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Roc:
    """Operating points from the strictest to the laxest.

    Attributes:
        true_accepts: int64 [T], pairs of one person that are accepted.
        false_accepts: int64 [T], pairs of two people that are accepted.
    """

    true_accepts: NDArray[np.int64]
    false_accepts: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.floating], same: NDArray[np.bool_]) -> Roc:
        """The points of pairs [P] with scores that are finite, higher for more alike; both kinds must occur."""
        order = np.argsort(scores)[::-1]
        descending = scores[order]
        last_of_score = np.append(np.flatnonzero(descending[1:] != descending[:-1]), len(scores) - 1)
        del descending
        true_accepts = np.cumsum(same[order], dtype=np.int64)[last_of_score]
        return cls(np.append(0, true_accepts), np.append(0, last_of_score + 1 - true_accepts))

    @property
    def num_genuine(self) -> int:
        """Pairs of one person."""
        return int(self.true_accepts[-1])

    @property
    def num_impostors(self) -> int:
        """Pairs of two people."""
        return int(self.false_accepts[-1])

    def auc(self) -> float:
        """The chance that a pair of one person scores above a pair of two; a tie counts one half."""
        twice_heights = self.true_accepts[1:] + self.true_accepts[:-1]
        twice_area = int(np.dot(np.diff(self.false_accepts), twice_heights))
        return twice_area / (2 * self.num_genuine * self.num_impostors)

    def eer(self) -> float:
        """The rate at which false accepts and false rejects are equal.

        Where no point has equal rates, the ROC's straight line between the two points around the equality is followed:
        of pairs of equal score, a share is accepted.
        """
        false_rejects = self.num_genuine - self.true_accepts
        difference = self.false_accepts * self.num_genuine - false_rejects * self.num_impostors  # strictly increasing
        after = int(np.searchsorted(difference, 0))
        short, beyond = -int(difference[after - 1]), int(difference[after])
        accepts = int(self.false_accepts[after - 1]) * beyond + int(self.false_accepts[after]) * short
        return accepts / (self.num_impostors * (short + beyond))

    def tar_at_nearest_far(self, target: float) -> float:
        """True accept rate at the point whose false accept rate is nearest to ``target``, as IJB is reported.

        As with scikit-learn's ``roc_curve``, points in the middle of a straight run of equal steps do not count. Of
        points equally near the laxer one is taken.
        """
        true_accepts, false_accepts = self.true_accepts[1:], self.false_accepts[1:]
        if len(true_accepts) > 2:
            bends = (np.diff(false_accepts, 2) != 0) | (np.diff(true_accepts, 2) != 0)
            kept = np.concatenate(([True], bends, [True]))
            true_accepts, false_accepts = true_accepts[kept], false_accepts[kept]
        tar = np.append(0, true_accepts) / self.num_genuine
        far = np.append(0, false_accepts) / self.num_impostors
        return float(tar[::-1][np.argmin(np.abs(far[::-1] - target))])
