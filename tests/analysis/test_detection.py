"""Detection of noise against its definitions, pair by pair and threshold by threshold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.analysis.detection import ScoreCounts, count_scores, detect, detection, detection_curves, roc, scores
from noisebench.noise.schema import CLEAN, CLOSED, OPEN
from tests.analysis.made_up import made_up_log

Sample = tuple[int, int]
SAMPLES = st.lists(st.tuples(st.integers(-4, 4), st.sampled_from([CLEAN, CLOSED, OPEN])), min_size=1, max_size=30)


def count(samples: list[Sample]) -> ScoreCounts:
    return ScoreCounts.of(
        np.array([score for score, _ in samples], np.float32), np.array([kind for _, kind in samples], np.int8)
    )


def confusion(samples: list[Sample], threshold: float) -> tuple[int, int, int]:
    """True positives, false positives, false negatives."""
    called = [(score >= threshold, kind != CLEAN) for score, kind in samples]
    return called.count((True, True)), called.count((True, False)), called.count((False, True))


@given(SAMPLES)
def test_detection_is_what_its_definitions_say(samples: list[Sample]) -> None:
    noisy = [score for score, kind in samples if kind != CLEAN]
    clean = [score for score, kind in samples if kind == CLEAN]
    counted = count(samples)
    found = detect(counted.values, *counted.against_clean("all"))
    if not noisy or not clean:
        assert all(math.isnan(value) for value in vars(found).values())
        return
    wins = [(a > b) + 0.5 * (a == b) for a in noisy for b in clean]
    assert found.auc == pytest.approx(sum(wins) / len(wins))
    precision_sum, recall_before, f1s = 0.0, 0.0, {}
    for threshold in sorted({score for score, _ in samples}, reverse=True):
        tp, fp, fn = confusion(samples, threshold)
        precision_sum += tp / (tp + fp) * (tp / (tp + fn) - recall_before)
        recall_before = tp / (tp + fn)
        f1s[threshold] = 2 * tp / (2 * tp + fp + fn)
    assert found.average_precision == pytest.approx(precision_sum)
    assert found.best_f1 == pytest.approx(max(f1s.values()))
    tp, fp, fn = confusion(samples, found.threshold)
    assert f1s[int(found.threshold)] == pytest.approx(found.best_f1)
    assert (found.precision, found.recall) == pytest.approx((tp / (tp + fp), tp / (tp + fn)))


@given(SAMPLES, st.sampled_from(["closed", "open"]))
def test_one_noise_against_clean_leaves_the_other_out(samples: list[Sample], noise: str) -> None:
    other = OPEN if noise == "closed" else CLOSED
    counted = count(samples)
    without = count([sample for sample in samples if sample[1] != other])
    found = vars(detect(counted.values, *counted.against_clean(noise)))
    assert found == pytest.approx(vars(detect(without.values, *without.against_clean("all"))), nan_ok=True)


def test_the_area_under_the_roc_is_the_auc(tmp_path: Path) -> None:
    for score in count_scores(made_up_log(tmp_path).epoch(0)).values():
        noisy, clean = score.against_clean("all")
        fpr, tpr = roc(noisy, clean)
        assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
        area = ((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2).sum()
        assert detect(score.values, noisy, clean).auc == pytest.approx(area)


def test_every_score_and_noise_has_its_row(tmp_path: Path) -> None:
    samples = made_up_log(tmp_path).epoch(0)
    frame = detection(0, count_scores(samples))
    assert frame["score"].unique().tolist() == ["angle", "angle_gap", "loss_bound", "low_norm"]
    assert frame["noise"].tolist() == ["all", "closed", "open"] * 4
    assert frame["noisy"].tolist() == [40, 25, 15] * 4
    assert (frame["clean"] == 59).all()
    lone = ScoreCounts.of(-samples.norm, samples.kind)
    row = frame[(frame["score"] == "low_norm") & (frame["noise"] == "all")].iloc[0]
    assert row["auc"] == detect(lone.values, *lone.against_clean("all")).auc


def test_loss_bound_ranks_like_the_loss_over_two_classes(tmp_path: Path) -> None:
    samples = made_up_log(tmp_path).epoch(0)
    scale = 64.0
    bound = dict(scores(samples))["loss_bound"]
    for own, nearest, found in zip(samples.angle_label, samples.angle_nearest, bound, strict=True):
        label, other = scale * math.cos(own), scale * math.cos(nearest)
        loss = math.log(math.exp(label) + math.exp(other)) - label
        assert math.log1p(math.exp(scale * float(found))) == pytest.approx(loss, abs=1e-4)


def test_curves_pass_through_the_roc(tmp_path: Path) -> None:
    samples = made_up_log(tmp_path).epoch(0)
    counted = count_scores(samples)
    curve = detection_curves(0, counted)
    angle = curve[curve["score"] == "angle"]
    assert len(curve) == 4 * 101
    threshold_free = [
        (float((samples.angle_label[samples.kind == CLEAN] >= t).mean()),
         float((samples.angle_label[samples.kind != CLEAN] >= t).mean()))
        for t in [np.inf, *np.unique(samples.angle_label)[::-1]]
    ]  # fmt: skip
    highest: dict[float, float] = {}
    for fpr, tpr in threshold_free:
        highest[fpr] = max(tpr, highest.get(fpr, 0))
    expected = np.asarray(np.interp(angle["fpr"], sorted(highest), [highest[fpr] for fpr in sorted(highest)]))
    np.testing.assert_allclose(angle["tpr"], expected)
    found, false = expected[1:] * 40, angle["fpr"].to_numpy()[1:] * 59
    np.testing.assert_allclose(angle["precision"].to_numpy()[1:], found / (found + false))


def test_scores_that_are_not_finite_are_left_out() -> None:
    counted = ScoreCounts.of(np.array([1, np.nan, 2, np.inf]), np.array([CLEAN, CLEAN, OPEN, OPEN], np.int8))
    assert counted.values.tolist() == [1, 2]
    assert counted.counts.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_without_noise_there_is_no_curve(tmp_path: Path) -> None:
    counted = count_scores(made_up_log(tmp_path, [CLEAN] * 20).epoch(0))
    assert len(detection_curves(0, counted)) == 0
    assert detection(0, counted)["auc"].isna().all()
