"""The ROC against a slow transcription of its definition and of InsightFace's reading of it, and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from noisebench.evaluation.roc import Roc

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def slow_points(scores: Floats, same: Bools) -> list[tuple[int, int]]:
    """False and true accepts at every score that occurs, from the highest on."""
    return [
        (int(((scores >= value) & ~same).sum()), int(((scores >= value) & same).sum()))
        for value in sorted(set(scores.tolist()), reverse=True)
    ]


def slow_tar(scores: Floats, same: Bools, target: float) -> float:
    """As ``roc_curve`` drops points in the middle of straight runs, and the nearest of the others counts."""
    points = slow_points(scores, same)
    kept = [
        point
        for place, point in enumerate(points)
        if place in (0, len(points) - 1)
        or any(points[place + 1][k] - point[k] != point[k] - points[place - 1][k] for k in (0, 1))
    ]
    curve = [(0.0, 0.0)] + [(fp / int((~same).sum()), tp / int(same.sum())) for fp, tp in kept]
    return min(reversed(curve), key=lambda point: abs(point[0] - target))[1]


@st.composite
def scored(draw: st.DrawFn) -> tuple[Floats, Bools]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(2, 60))
    levels = draw(st.sampled_from([1, 2, 7, 10**6]))
    scores = (random.integers(-levels, levels, count) / levels).astype(np.float32)
    same = random.random(count) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    assume(same.any() and not same.all())
    return scores, same


@given(scored(), st.sampled_from([1e-6, 1e-3, 0.01, 0.1, 0.25, 0.5, 1.0]))
def test_equals_the_slow_transcription(case: tuple[Floats, Bools], target: float) -> None:
    scores, same = case
    roc = Roc.of(scores, same)
    points = list(zip(roc.false_accepts.tolist(), roc.true_accepts.tolist(), strict=True))
    assert points == [(0, 0), *slow_points(scores, same)]
    assert (roc.num_genuine, roc.num_impostors) == (same.sum(), (~same).sum())
    assert roc.tar_at_nearest_far(target) == slow_tar(scores, same, target)


@given(scored())
def test_equals_scikit_learn(case: tuple[Floats, Bools]) -> None:
    scores, same = case
    roc = Roc.of(scores, same)
    far, tar, _ = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_array_equal(roc.false_accepts / roc.num_impostors, far)
    np.testing.assert_array_equal(roc.true_accepts / roc.num_genuine, tar)
    assert roc.auc() == pytest.approx(roc_auc_score(same, scores), abs=1e-14)


@given(scored(), st.sampled_from([1e-6, 1e-3, 0.01, 0.1, 0.25, 0.5, 1.0]))
def test_the_rate_at_a_far_is_read_off_scikit_learns_curve(case: tuple[Floats, Bools], target: float) -> None:
    scores, same = case
    far, tar, _ = roc_curve(same, scores)
    nearest = np.argmin(np.abs(far[::-1] - target))
    assert Roc.of(scores, same).tar_at_nearest_far(target) == tar[::-1][nearest]


@pytest.mark.parametrize(
    ("scores", "auc"), [([0, 0, 0, 0], 0.5), ([3, 2, 1, 0], 1.0), ([0, 1, 2, 3], 0.0), ([1, 1, 1, 0], 0.75)]
)
def test_degenerate_scores_equal_scikit_learn(scores: list[int], auc: float) -> None:
    same = np.array([True, True, False, False])
    found = Roc.of(np.array(scores, np.float32), same)
    assert found.auc() == roc_auc_score(same, scores) == auc
    far, tar, _ = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_array_equal([found.false_accepts / 2, found.true_accepts / 2], [far, tar])


def test_of_points_equally_near_the_laxer_counts() -> None:
    # Points of (FAR, TAR): (0, 1/3), (1/2, 2/3) and (1, 1); 1/4 is as near to the first as to the second.
    roc = Roc.of(np.array([5, 4, 3, 2, 1], np.float32), np.array([True, False, True, False, True]))
    assert roc.tar_at_nearest_far(0.25) == pytest.approx(2 / 3)
    assert roc.tar_at_nearest_far(0.2) == pytest.approx(1 / 3)
