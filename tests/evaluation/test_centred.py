"""BoundaryFace's folds against a slow transcription of their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.evaluation.centred import best_threshold, centred_cosines, verify_centred
from tests.evaluation.test_verification import slow_folds

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def slow_threshold(cosines: Floats, same: Bools) -> float:
    """Hold every pair against every threshold, and take the mean of the best thresholds."""
    thresholds = np.array([step / 10_000 for step in range(-10_000, 10_001)])
    above, below = cosines > thresholds[:, None], cosines < thresholds[:, None]
    right = np.where(same, above, below).sum(axis=1)
    return float(np.mean(thresholds[right == max(right.tolist())]))


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from([0, 1, 4]), st.sampled_from([0.2, 0.5]))
def test_the_threshold_equals_the_slow_transcription(seed: int, count: int, digits: int, share: float) -> None:
    random = np.random.default_rng(seed)
    cosines = np.round(random.uniform(-1, 1, count), digits)  # many right on a threshold
    same = random.random(count) < share
    assert best_threshold(cosines, same) == slow_threshold(cosines, same)


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.integers(4, 23), st.integers(2, 4), st.booleans())
def test_the_folds_equal_the_slow_transcription(seed: int, count: int, folds: int, tied: bool) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(-2, 3, (2, count, 3)).astype(np.float64) if tied else random.normal(size=(2, count, 3))
    same = random.random(count) < 0.5
    assume(same.any() and not same.all())
    result = verify_centred(a, b, same, folds)
    accuracies = []
    for test in slow_folds(count, folds):
        train = np.array([pair not in test for pair in range(count)])
        cosines = centred_cosines(a, b, train)
        threshold = slow_threshold(cosines[train], same[train])
        right = [cosines[pair] > threshold if same[pair] else cosines[pair] < threshold for pair in test]
        accuracies.append(sum(right) / len(right))
    assert result.fold_accuracies == tuple(accuracies)
    assert result.accuracy == float(np.mean(accuracies))
    assert result.accuracy_std == float(np.std(accuracies))


def test_cosines_are_centred_on_the_training_pairs() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(3, 1, (2, 12, 4))
    train = np.arange(12) >= 4
    centre = sum(list(a[4:]) + list(b[4:])) / 16
    for pair, cosine in enumerate(centred_cosines(a, b, train)):
        u, v = a[pair] - centre, b[pair] - centre
        assert cosine == pytest.approx(float(u @ v) / math.hypot(*u) / math.hypot(*v), abs=1e-12)


def test_a_pair_on_the_threshold_is_an_error() -> None:
    # Both kinds have cosine -1 in both folds: a threshold is right about one of them, or, at -1 itself, about none.
    a = np.array([[1.0], [1.0], [1.0], [1.0]])
    result = verify_centred(a, -a, [True, False, True, False], folds=2)
    assert result.fold_accuracies == (0.5, 0.5)


@pytest.mark.parametrize(
    ("same", "message"),
    [([True] * 20, "all 20 pairs are of the same person"), ([True, False] * 4, "20 pairs of embeddings but 8")],
)
def test_what_cannot_be_verified_is_said(same: list[bool], message: str) -> None:
    with pytest.raises(UserError, match=message):
        verify_centred(np.ones((20, 4)), np.ones((20, 4)), same)
