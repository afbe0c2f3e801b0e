"""MegaFace's two tasks against distractors that come in blocks, a million of them if need be.

*Identification.* For every ordered pair (i, k) of different images of one person, image i is put among the distractors
and image k searches it: found at rank N if their similarity is at least that of the N-th most similar distractor.

*Verification.* Genuine are all pairs of different probe images of one person, impostors all pairs of a probe image with
a distractor. The threshold at a false accept rate is the (floor(rate x impostors) + 1)-th highest impostor score, and
accepted is what is strictly above it: the most that keeps within the rate.

Only the highest similarities are kept: N for each probe, and for the verification those that can still matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.evaluation.identification import largest
from noisebench.evaluation.templates import BLOCK_FLOATS, Features, Numbers

RANKS = (1, 2, 3, 4, 5)
FALSE_ACCEPT_RATES = ("1e-6", "1e-5", "1e-4")


class Distractors:
    """The highest similarities of probes to distractors seen so far.

    Args:
        probes: float32 [P, D], of unit length.
        num_distractors: How many there will be, M; it tells how many impostor scores have to be kept.
        max_rank: How many similarities are kept for each probe.
        max_rate: The highest false accept rate that will be asked for.

    Attributes:
        best: float32 [P, max_rank], the highest similarities of each probe, descending; -inf where there were fewer.
        num_seen: Distractors so far.
    """

    def __init__(
        self, probes: Features, num_distractors: int, max_rank: int = max(RANKS), max_rate: str = FALSE_ACCEPT_RATES[-1]
    ) -> None:
        self._probes = probes
        self._num_kept = allowed_accepts(len(probes) * num_distractors, max_rate) + 1
        self._highest = np.empty(0, np.float32)
        self._pending: list[Features] = []
        self._least = -np.float32(np.inf)
        self.best = np.full((len(probes), max_rank), -np.inf, np.float32)
        self.num_seen = 0

    def add(self, block: Features) -> None:
        """Compare the probes with more distractors, float32 [B, D], of unit length or all zero."""
        step = max(1, BLOCK_FLOATS // len(self._probes))
        for start in range(0, len(block), step):
            self._compare(self._probes @ block[start : start + step].T)
        self.num_seen += len(block)

    def threshold(self, rate: str) -> float:
        """The impostor score that a genuine pair has to exceed at a false accept rate.

        Raises:
            UserError: There was no distractor.
        """
        self._settle()
        if len(self._highest) == 0:
            raise UserError("there are no distractors")
        place = allowed_accepts(len(self._probes) * self.num_seen, rate)
        return float(np.sort(self._highest)[::-1][place])

    def _compare(self, similarity: Features) -> None:
        """Take note of similarities [P, B]."""
        maximum = similarity.max(axis=1)
        better = np.flatnonzero(maximum > self.best[:, -1])
        if len(better):
            kept = self.best.shape[1]
            together = np.concatenate((self.best[better], similarity[better]), axis=1)
            self.best[better] = -np.sort(-np.partition(together, together.shape[1] - kept, axis=1)[:, -kept:], axis=1)
        candidates = similarity[maximum > self._least]
        self._pending.append(candidates[candidates > self._least])
        if sum(map(len, self._pending)) > max(self._num_kept, BLOCK_FLOATS // 4):
            self._settle()

    def _settle(self) -> None:
        """Keep of all scores only those that can still matter."""
        self._highest = largest(np.concatenate((self._highest, *self._pending)), self._num_kept)
        self._pending = []
        if len(self._highest) == self._num_kept:
            self._least = self._highest.min()


def genuine_pairs(people: Numbers) -> tuple[Numbers, Numbers]:
    """All ordered pairs (i, k), i != k, of images [P] of one person.

    Raises:
        UserError: Nobody has two images.
    """
    order = np.argsort(people, kind="stable")
    _, sizes = np.unique(people, return_counts=True)
    first, second = [], []
    for images in np.split(order, np.cumsum(sizes)[:-1]):
        i, k = np.meshgrid(images, images, indexing="ij")
        first.append(i[i != k])
        second.append(k[i != k])
    if not any(map(len, first)):
        raise UserError("no person has two probe images")
    return np.concatenate(first), np.concatenate(second)


def identification_rates(
    probes: Features, people: Numbers, distractors: Distractors, ranks: Sequence[int] = RANKS
) -> dict[int, float]:
    """Identification rate by rank, over all ordered pairs of images of one person.

    Args:
        probes: float32 [P, D], of unit length.
        people: int64 [P].
        distractors: The probes' similarities to the distractors.
        ranks: At most as many as the distractors keep.
    """
    gallery, probe = genuine_pairs(people)
    similarity = np.einsum("pd,pd->p", probes[gallery], probes[probe])
    return {rank: float(np.mean(similarity >= distractors.best[probe, rank - 1])) for rank in ranks}


def verification_rates(
    probes: Features, people: Numbers, distractors: Distractors, rates: Iterable[str] = FALSE_ACCEPT_RATES
) -> dict[str, float]:
    """True accept rate by false accept rate; a rate that allows no accept is left out.

    Args:
        probes: float32 [P, D], of unit length.
        people: int64 [P].
        distractors: The probes' similarities to the distractors.
        rates: As decimals, such as "1e-6".
    """
    gallery, probe = genuine_pairs(people)
    once = gallery < probe
    similarity: NDArray[np.float32] = np.einsum("pd,pd->p", probes[gallery[once]], probes[probe[once]])
    impostors = len(probes) * distractors.num_seen
    return {
        rate: float(np.mean(similarity > distractors.threshold(rate)))
        for rate in rates
        if allowed_accepts(impostors, rate) >= 1
    }


def allowed_accepts(impostors: int, rate: str) -> int:
    """How many impostor pairs a false accept rate allows, exactly."""
    return math.floor(impostors * Fraction(rate))
