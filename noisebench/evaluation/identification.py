"""Identification, one against many: rates at a rank in a closed set, and at a false positive rate in an open one.

Similarities are inner products of float32 vectors, computed for a block of probes at a time, so that probes x gallery
never exists. A tie never helps: a mate's rank is one more than the number of others in the gallery that are *at least*
as similar to the probe, so that a backbone which maps everything to one vector identifies nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.evaluation.templates import BLOCK_FLOATS, Features, Numbers

RANKS = (1, 5, 10)
FALSE_POSITIVE_RATES = (0.01, 0.1)


@dataclass(frozen=True, eq=False)
class Search:
    """What each probe found in a gallery.

    Attributes:
        mate: float32 [P], similarity of the most similar mate; -inf where the gallery holds none.
        other: float32 [P], similarity of the most similar other one; -inf where there is none.
        rank: int64 [P], of the most similar mate, from 1; without meaning where there is none.
    """

    mate: Features
    other: Features
    rank: Numbers

    @property
    def is_mated(self) -> NDArray[np.bool_]:
        """Whether the gallery holds a mate of the probe, bool [P]."""
        return self.mate > -np.inf

    def identified(self, rank: int) -> float:
        """Share of the mated probes with a mate at that rank or before.

        Raises:
            UserError: No probe is mated.
        """
        if not self.is_mated.any():
            raise UserError("no probe has a mate in the gallery")
        return float(np.mean(self.rank[self.is_mated] <= rank))

    def tpir(self, fpir: float) -> float:
        """True positive identification rate at a false positive identification rate.

        The threshold is the round(n x fpir)-th highest of the n similarities that unmated probes reach, halves rounded
        to even; where that is none, it lies just above the highest. Identified is a mated probe whose mate is first and
        at least at the threshold.

        Raises:
            UserError: No probe is mated, or all are.
        """
        mated = self.is_mated
        if mated.all() or not mated.any():
            which = "every" if mated.all() else "no"
            raise UserError(f"{which} probe has a mate in the gallery: open-set identification needs both kinds")
        highest = np.sort(self.other[~mated])[::-1]
        allowed = round(len(highest) * fpir)
        threshold = highest[allowed - 1] if allowed else np.nextafter(highest[0], np.float32(np.inf))
        return float(np.mean((self.mate[mated] >= threshold) & (self.rank[mated] == 1)))


def search(probes: Features, probe_labels: Numbers, gallery: Features, gallery_labels: Numbers) -> Search:
    """Look for each probe in a gallery.

    Args:
        probes: float32 [P, D], of unit length.
        probe_labels: int64 [P], who it is.
        gallery: float32 [G, D], of unit length; a person may be there several times.
        gallery_labels: int64 [G]; distractors bear a label that no probe has.
    """
    mate = np.full(len(probes), -np.inf, np.float32)
    other = np.full(len(probes), -np.inf, np.float32)
    rank = np.zeros(len(probes), np.int64)
    for rows, similarity in similarities(probes, gallery):
        is_mate = probe_labels[rows, None] == gallery_labels
        mate[rows] = np.max(similarity, axis=1, where=is_mate, initial=-np.inf)
        similarity[is_mate] = -np.inf
        other[rows] = similarity.max(axis=1)
        rank[rows] = 1 + np.count_nonzero(similarity >= mate[rows, None], axis=1)
    return Search(mate, other, rank)


def similarities(probes: Features, gallery: Features) -> Iterator[tuple[slice, Features]]:
    """Blocks of probes, and their similarities [B, G] to the whole gallery."""
    step = max(1, BLOCK_FLOATS // len(gallery))
    others = np.ascontiguousarray(gallery.T)
    for start in range(0, len(probes), step):
        rows = slice(start, start + step)
        yield rows, probes[rows] @ others


def recall_above_impostors(
    probes: Features, mates: Numbers, gallery: Features, rates: Sequence[float] = FALSE_POSITIVE_RATES
) -> dict[float, float]:
    """InsightFace's "TPIR@FPIR" of IJB: one gallery, in which each probe has exactly one mate.

    The threshold at a rate is the ceil(P x rate)-th highest of *all* similarities to others than the mate; reported is
    the share of probes whose mate is strictly above it. This is not open-set identification: no probe is unmated.

    Args:
        probes: float32 [P, D], of unit length.
        mates: int64 [P], row of each probe's mate in the gallery.
        gallery: float32 [G, D], of unit length, G at least 2.
        rates: The rates, in 0..1.
    """
    most = [max(1, math.ceil(len(probes) * rate)) for rate in rates]
    highest = np.full(0, -np.inf, np.float32)
    mate_scores = np.empty(len(probes), np.float32)
    for rows, similarity in similarities(probes, gallery):
        own = np.arange(len(similarity)), mates[rows]
        mate_scores[rows] = similarity[own]
        similarity[own] = -np.inf
        highest = largest(np.concatenate((highest, similarity.ravel())), max(most))
    highest = np.sort(highest)[::-1]
    return {rate: float(np.mean(mate_scores > highest[count - 1])) for rate, count in zip(rates, most, strict=True)}


def largest(values: Features, count: int) -> Features:
    """The ``count`` largest of the values [N], or all of them, in no order."""
    return values if len(values) <= count else np.partition(values, len(values) - count)[-count:]
