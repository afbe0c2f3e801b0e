"""Identification against brute force, on vectors of whole numbers: similarities are exact, and many are tied."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.evaluation import identification
from noisebench.evaluation.identification import recall_above_impostors, search

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def slow_rank(probe: Vectors, label: int, gallery: Vectors, labels: Labels) -> tuple[float, float, int]:
    """Best mate, best other one and the mate's rank, by a list sorted with mates last among equals."""
    similarity = [(float(probe @ vector), int(other == label)) for vector, other in zip(gallery, labels, strict=True)]
    ranked = sorted(similarity, key=lambda entry: (-entry[0], entry[1]))
    mates = [place for place, entry in enumerate(ranked) if entry[1]]
    if not mates:
        return -math.inf, ranked[0][0], 0
    others_before = sum(1 for entry in ranked[: mates[0]] if not entry[1])
    others = [value for value, is_mate in similarity if not is_mate]
    return ranked[mates[0]][0], max(others, default=-math.inf), 1 + others_before


def slow_tpir(found: list[tuple[float, float, int]], fpir: float) -> float:
    """Accept as many unmated probes as the rate allows, then count the mated ones that pass and come first."""
    unmated = sorted((other for mate, other, _ in found if mate == -math.inf), reverse=True)
    allowed = round(len(unmated) * fpir)
    mated = [(mate, rank) for mate, _, rank in found if mate > -math.inf]
    passes = [mate >= unmated[allowed - 1] if allowed else mate > unmated[0] for mate, _ in mated]
    return sum(ok and rank == 1 for ok, (_, rank) in zip(passes, mated, strict=True)) / len(mated)


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 30), st.sampled_from([7, 1 << 20]))
def test_search_equals_brute_force(seed: int, num_probes: int, num_gallery: int, block: int) -> None:
    random = np.random.default_rng(seed)
    probes = random.integers(-2, 3, (num_probes, 4)).astype(np.float32)
    gallery = random.integers(-2, 3, (num_gallery, 4)).astype(np.float32)
    probe_labels, labels = random.integers(0, 9, num_probes), random.integers(0, 9, num_gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identification, "BLOCK_FLOATS", block)
        result = search(probes, probe_labels, gallery, labels)
    slow = [slow_rank(probe, int(who), gallery, labels) for probe, who in zip(probes, probe_labels, strict=True)]
    assert result.mate.tolist() == [mate for mate, _, _ in slow]
    assert result.other.tolist() == [other for _, other, _ in slow]
    mated = [rank for mate, _, rank in slow if mate > -math.inf]
    assert result.rank[result.is_mated].tolist() == mated
    if mated:
        for rank in (1, 5, 20):
            assert result.identified(rank) == sum(found <= rank for found in mated) / len(mated)
    if 0 < len(mated) < num_probes:
        for fpir in (0.0, 0.01, 0.1, 0.5, 1.0):
            assert result.tpir(fpir) == slow_tpir(slow, fpir)


def test_a_backbone_that_maps_all_to_one_vector_identifies_nobody() -> None:
    same = np.ones((6, 3), np.float32)
    result = search(same[:3], np.arange(3), same, np.arange(6))
    assert (result.identified(1), result.identified(5), result.identified(6)) == (0, 0, 1)


def test_without_mates_or_without_others_nothing_can_be_said() -> None:
    vectors = np.ones((3, 2), np.float32)
    with pytest.raises(UserError, match="no probe has a mate"):
        search(vectors, np.zeros(3, int), vectors, np.ones(3, int)).identified(1)
    with pytest.raises(UserError, match="every probe has a mate"):
        search(vectors, np.zeros(3, int), vectors, np.zeros(3, int)).tpir(0.1)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 12), st.sampled_from([5, 1 << 20]))
def test_recall_above_impostors_equals_brute_force(seed: int, num_probes: int, num_gallery: int, block: int) -> None:
    random = np.random.default_rng(seed)
    probes = random.integers(-3, 4, (num_probes, 4)).astype(np.float32)
    gallery = random.integers(-3, 4, (num_gallery, 4)).astype(np.float32)
    mates = random.integers(0, num_gallery, num_probes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identification, "BLOCK_FLOATS", block)
        found = recall_above_impostors(probes, mates, gallery, (0.01, 0.1, 0.5))
    table = (probes @ gallery.T).tolist()
    own = [row[mate] for row, mate in zip(table, mates, strict=True)]
    others = sorted((x for row, mate in zip(table, mates, strict=True) for k, x in enumerate(row) if k != mate))[::-1]
    for rate, recall in found.items():
        threshold = others[math.ceil(num_probes * rate) - 1]
        assert recall == sum(score > threshold for score in own) / num_probes
