"""The counted protocol against a slow transcription of its definition, to the last bit, and cases by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.evaluation.verification import VerificationResult, squared_distances, verify, verify_distances

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def slow_folds(num_pairs: int, num_folds: int) -> list[list[int]]:
    """Pairs dealt out as contiguous blocks, one block after the other."""
    folds: list[list[int]] = []
    for remaining in range(num_folds, 0, -1):
        start = sum(len(fold) for fold in folds)
        folds.append(list(range(start, start - (start - num_pairs) // remaining)))
    return folds


def slow_verify(distances: Floats, same: Bools, num_folds: int) -> VerificationResult:
    """The protocol as its definition reads, one fold and one threshold at a time."""
    accuracies, thresholds = [], []
    rates: dict[float, list[float]] = {0.1: [], 0.01: [], 0.001: []}
    unresolved = set()
    for test in slow_folds(len(same), num_folds):
        train = [pair for pair in range(len(same)) if pair not in set(test)]

        best_accuracy, best = -1.0, -1.0
        for threshold in np.arange(0, 4, 0.01):
            accuracy = float(np.sum((distances[train] < threshold) == same[train]) / len(train))
            if accuracy > best_accuracy:
                best_accuracy, best = accuracy, float(threshold)
        accuracies.append(float(np.sum((distances[test] < best) == same[test]) / len(test)))
        thresholds.append(best)

        impostors = np.array([distances[pair] for pair in train if not same[pair]])
        genuine = np.array([distances[pair] for pair in test if same[pair]])
        for target, values in rates.items():
            if len(impostors) < 1 / target:
                unresolved.add(target)
            elif len(genuine):
                allowed = [t for t in np.arange(0, 4, 0.001) if np.sum(impostors < t) / len(impostors) <= target]
                values.append(float(np.sum(genuine < max(allowed)) / len(genuine)))
    auc, eer = slow_auc(distances, same), slow_eer(distances, same)
    return VerificationResult(
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        fold_accuracies=tuple(accuracies),
        fold_thresholds=tuple(thresholds),
        tar_at_far={target: float(np.mean(values)) for target, values in rates.items() if target not in unresolved},
        auc=auc,
        eer=eer,
    )


def slow_auc(distances: Floats, same: Bools) -> float:
    """Every pair of one person against every pair of two: nearer is 1, a tie one half."""
    wins = Fraction(0)
    for genuine in distances[same]:
        for impostor in distances[~same]:
            wins += 1 if genuine < impostor else Fraction(1, 2) if genuine == impostor else 0
    return float(wins / (int(same.sum()) * int((~same).sum())))


def slow_eer(distances: Floats, same: Bools) -> float:
    """Walk along the ROC's corners until false accepts are not rarer than false rejects, then go back on the line."""
    before = (Fraction(0), Fraction(1))
    for threshold in sorted(set(distances.tolist())):
        accepted = distances <= threshold
        far = Fraction(int((accepted & ~same).sum()), int((~same).sum()))
        frr = Fraction(int((~accepted & same).sum()), int(same.sum()))
        if far >= frr:
            share = (before[1] - before[0]) / ((far - frr) - (before[0] - before[1]))
            return float(before[0] + share * (far - before[0]))
        before = (far, frr)
    raise AssertionError("the last corner accepts everything")


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Floats, Bools, int]:
    """Distances anywhere or on a grid (ties, many right on a threshold), in sizes that folds do not divide."""
    num_folds = draw(st.integers(2, 10))
    num_pairs = draw(st.integers(num_folds, 60))
    grid = draw(st.sampled_from([0.0, 0.01, 0.5, 4.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    distances = random.uniform(0, 4, num_pairs)
    if grid:
        distances = random.choice(np.arange(0, 4 + grid, grid), num_pairs)
    same = random.random(num_pairs) < draw(st.sampled_from([0.05, 0.5, 0.95]))
    if draw(st.booleans()):
        distances = np.sort(distances)  # folds that differ from each other
    assume(same.any() and not same.all())
    return distances, same, num_folds


@settings(max_examples=30, deadline=None)
@given(pairs())
def test_equals_the_slow_transcription(case: tuple[Floats, Bools, int]) -> None:
    distances, same, num_folds = case
    assert verify_distances(distances, same, num_folds) == slow_verify(distances, same, num_folds)


def test_equals_the_slow_transcription_where_every_rate_is_resolved() -> None:
    random = np.random.default_rng(0)
    same = random.random(1403) < 0.15
    distances = np.where(same, random.normal(1.2, 0.4, 1403), random.normal(2.0, 0.3, 1403)).clip(0, 4)
    result = verify_distances(distances, same, 10)
    assert result == slow_verify(distances, same, 10)
    assert set(result.tar_at_far) == {0.1, 0.01, 0.001}


def test_two_folds_by_hand() -> None:
    # On fold 0 any threshold in (1.00, 3.00] is right for all pairs, so 1.01 is the first; on fold 1 it is 2.01.
    distances = np.array([[1.0, 3.0, 1.0, 3.0], [2.0, 3.5, 2.0, 1.5]]).ravel()
    same = np.array([[True, False, True, False], [True, False, True, True]]).ravel()
    result = verify_distances(distances, same, folds=2)
    assert result.fold_thresholds == pytest.approx((2.01, 1.01))
    assert result.fold_accuracies == (1.0, 0.25)  # of fold 1 only the pair at 3.5 is on the right side of 1.01
    assert result.accuracy == 0.625
    assert result.accuracy_std == 0.375


def test_a_pair_right_on_the_threshold_is_not_accepted() -> None:
    # Fold 1 sets the threshold to 0.51, where the genuine pair of fold 0 is: accepted it is only below.
    threshold = float(np.arange(0, 4, 0.01)[51])
    same = np.array([True, False, True, False])
    on_it = verify_distances(np.array([threshold, 3.0, 0.505, 3.0]), same, folds=2)
    below = verify_distances(np.array([np.nextafter(threshold, 0), 3.0, 0.505, 3.0]), same, folds=2)
    assert on_it.fold_thresholds[0] == threshold
    assert (on_it.fold_accuracies[0], below.fold_accuracies[0]) == (0.5, 1.0)


def test_tar_at_far_takes_the_largest_threshold_within_the_rate() -> None:
    # 10 impostors in each fold: of the other fold's, one may be accepted at FAR 0.1, so the threshold
    # is the largest not above the second nearest impostor, at 2.0; half of the genuine pairs lie below.
    impostors = [1.0, 2.0] + [3.0] * 8
    genuine = [1.9, 1.9, 2.1, 2.1]
    distances = np.array((impostors + genuine) * 2)
    same = np.array(([False] * 10 + [True] * 4) * 2)
    assert verify_distances(distances, same, folds=2).tar_at_far == {0.1: 0.5}


def test_a_rate_with_too_few_impostors_is_left_out() -> None:
    random = np.random.default_rng(1)
    same = np.tile([True, False], 111)  # 22 or 23 pairs a fold; 99 or more impostors outside each
    rates = verify_distances(random.uniform(0, 4, 222), same).tar_at_far
    assert set(rates) == {0.1}
    same = np.tile([True, False], 120)
    assert set(verify_distances(random.uniform(0, 4, 240), same).tar_at_far) == {0.1, 0.01}


def test_auc_and_eer_by_hand() -> None:
    # Corners of the ROC, as (false accepts of 2, false rejects of 4): (0, 4) (0, 2) (1, 1) (2, 0).
    distances = np.array([0.5, 0.5, 1.0, 1.0, 1.5, 1.5])
    same = np.array([True, True, True, False, True, False])
    result = verify_distances(distances, same, folds=2)
    assert result.auc == (2 + 2 + 0.5 + 1 + 0.5) / 8
    assert result.eer == 1 / 3  # between (0, 1/2) and (1/2, 1/4), two thirds of the way


def test_equal_distances_are_chance() -> None:
    result = verify_distances(np.ones(21), np.arange(21) % 3 == 0)
    assert (result.auc, result.eer) == (0.5, 0.5)


def test_distances_are_those_of_unit_vectors() -> None:
    a = np.array([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [5.0, 0.0], [0.0, 0.0]], np.float32)
    b = np.array([[6.0, 8.0], [0.0, 7.0], [-2.0, 0.0], [1.0, 1.0], [1.0, 0.0]], np.float32)
    np.testing.assert_allclose(squared_distances(a, b), [0, 2, 4, 2 - np.sqrt(2), 1], atol=1e-15)


def test_verify_goes_from_embeddings_to_folds() -> None:
    random = np.random.default_rng(2)
    same = np.tile([True, False], 50)
    a = random.normal(size=(100, 16)).astype(np.float32)
    b = np.where(same[:, None], a * 3, random.normal(size=(100, 16))).astype(np.float32)
    result = verify(a, b, same)
    assert result == verify_distances(squared_distances(a, b), same)
    assert result.accuracy == 1
    assert len(result.fold_accuracies) == 10


@pytest.mark.parametrize(
    ("distances", "same", "message"),
    [
        (np.ones(9), [True, False] * 4 + [True], "9 pairs are too few for 10 folds"),
        (np.ones(20), [True] * 20, "all 20 pairs are of the same person"),
        (np.ones(20), [False] * 20, "all 20 pairs are of different people"),
        (np.ones(20), [True, False] * 11, "20 pairs of embeddings but 22 same/different labels"),
        (np.array([1.0] * 19 + [np.nan]), [True, False] * 10, "the distance of pair 19 is not finite"),
    ],
)
def test_what_cannot_be_verified_is_said(distances: Floats, same: list[bool], message: str) -> None:
    with pytest.raises(UserError, match=message):
        verify_distances(distances, same)


def test_embeddings_that_are_not_finite_are_named() -> None:
    a, b = np.ones((20, 4)), np.ones((20, 4))
    a[7, 1] = np.inf
    b[3, 0] = np.nan
    with pytest.raises(UserError, match="2 pairs have an embedding that is not finite, the first is pair 3"):
        verify(a, b, [True, False] * 10)


def test_embeddings_of_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(20, 4\) and \(20, 5\)"):
        verify(np.ones((20, 4)), np.ones((20, 5)), [True, False] * 10)
