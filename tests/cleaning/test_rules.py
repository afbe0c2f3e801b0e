"""Rules that judge images by a run's log, against loops over its rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from noisebench.cleaning.choose import RULES, choose_rule
from noisebench.cleaning.rules import NO_LABEL, AngleRule, CorrectionRule, GapRule, parse_angle
from noisebench.errors import UserError
from tests.analysis.made_up import made_up_log, made_up_run, plain
from tests.analysis.runs import log_epoch
from tests.markdown import table_of


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_the_score_is_the_mean_over_the_last_epochs_that_hold_a_row(tmp_path: Path, epochs: int) -> None:
    run, log = made_up_run(tmp_path / "results"), made_up_log(tmp_path / "log")
    angle = AngleRule(epochs=epochs, threshold=1.5).judge(run, log)
    gap = GapRule(epochs=epochs, threshold=0.2, action="relabel").judge(run, log)
    rows = [sample for number in log.epochs[-epochs:] for sample in plain(log.epoch(number))]
    for row in range(len(log.manifest)):
        seen = [sample for sample in rows if sample.row == row]
        if not seen:
            assert np.isnan(angle.score[row])
            assert not angle.flagged[row]
            assert not gap.flagged[row]
            continue
        mean = sum(sample.angle_label for sample in seen) / len(seen)
        assert angle.score[row] == pytest.approx(mean, rel=1e-6)
        assert angle.flagged[row] == (angle.score[row] > 1.5)
        mean = sum(sample.angle_label - sample.angle_nearest for sample in seen) / len(seen)
        assert gap.score[row] == pytest.approx(mean, abs=1e-6)
        classes = {sample.nearest for sample in seen}
        assert gap.proposal[row] == (classes.pop() if len(classes) == 1 else NO_LABEL)
        assert gap.flagged[row] == (gap.score[row] > 0.2 and gap.proposal[row] != NO_LABEL)
    assert angle.flagged.any()
    assert gap.flagged.any()


def test_a_correction_counts_where_it_is_the_same_in_all_epochs(tmp_path: Path) -> None:
    run, log = made_up_run(tmp_path / "results"), made_up_log(tmp_path / "log")
    verdict = CorrectionRule(epochs=2).judge(run, log)
    rows = [sample for number in (1, 2) for sample in plain(log.epoch(number))]
    for row in range(len(log.manifest)):
        seen = [sample for sample in rows if sample.row == row]
        used = {sample.used_label for sample in seen}
        assert verdict.flagged[row] == (len(used) == 1 and used != {int(log.manifest.label[row])})
        if verdict.flagged[row]:
            assert verdict.proposal[row] == used.pop()
    assert verdict.flagged.any()


def test_a_gap_may_be_dropped_whichever_classes_are_nearest(tmp_path: Path) -> None:
    run, log = made_up_run(tmp_path / "results"), made_up_log(tmp_path / "log")
    verdict = GapRule().judge(run, log)
    assert verdict.flagged.tolist() == (verdict.score > 0).tolist()
    assert (verdict.flagged & (verdict.proposal == NO_LABEL)).any()


def test_a_method_that_corrects_nothing_is_told_apart(tmp_path: Path) -> None:
    run, log = made_up_run(tmp_path / "results"), made_up_log(tmp_path / "log", epochs=[0])
    rows = np.arange(len(log.manifest))
    log_epoch(tmp_path / "log", 0, rows, used_label=log.manifest.label, cosine_true=np.full(len(rows), np.nan))
    with pytest.raises(UserError, match="'arcface' corrected no label in the last 3 epochs of its log"):
        CorrectionRule().judge(run, log)


def test_a_log_without_angles_is_told_apart(tmp_path: Path) -> None:
    run, log = made_up_run(tmp_path / "results"), made_up_log(tmp_path / "log", epochs=[0])
    nothing = np.full(len(log.manifest), np.nan)
    log_epoch(tmp_path / "log", 0, np.arange(len(nothing)), cosine_true=nothing, cosine_nearest=nothing)
    with pytest.raises(UserError, match="the log of 'arcface' holds no angles"):
        GapRule().judge(run, log)


def test_a_class_beyond_the_manifest_is_told_apart(tmp_path: Path) -> None:
    run, log = made_up_run(tmp_path / "results"), made_up_log(tmp_path / "log", epochs=[0])
    rows = np.arange(len(log.manifest))
    log_epoch(tmp_path / "log", 0, rows, nearest=np.where(rows == 7, 10, 0), cosine_true=np.full(len(rows), np.nan))
    with pytest.raises(UserError, match="names class 10 in row 7, but the manifest has 10 classes"):
        GapRule().judge(run, log)


@pytest.mark.parametrize(
    ("text", "angle"), [("75deg", math.radians(75)), ("1.3rad", 1.3), ("-2.5deg", math.radians(-2.5)), (".5rad", 0.5)]
)
def test_an_angle_is_read_with_its_unit(text: str, angle: float) -> None:
    assert parse_angle(text) == pytest.approx(angle)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("angel", {}, "--rule 'angel' is unknown: did you mean 'angle'?"),
        ("angle", {"threshold": "75"}, "expected a number and its unit, such as 75deg"),
        ("angle", {"threshold": "200deg"}, "at most 180deg"),
        ("angle", {"action": "relabel"}, "rule 'angle': key 'action' is 'relabel'"),
        ("correction", {"threshold": "75deg"}, "--threshold does not go with rule 'correction', but with angle, gap"),
        ("gap", {"reading": "paper"}, "--reading does not go with rule 'gap', but with subcentre"),
        ("subcentre", {"epochs": 2}, "--epochs does not go with rule 'subcentre', but with angle, correction, gap"),
    ],
)
def test_a_mistake_in_a_rule_is_named(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        choose_rule(name, **options)
    assert said in str(caught.value)


def test_the_page_names_every_rule_and_its_actions() -> None:
    page = table_of("docs/cleaning.md", "| rule |")
    assert [name.strip("`") for name in page["rule"]] == list(RULES)
    for name, actions in zip(RULES, page["`--action`"], strict=True):
        for action in ("drop", "relabel"):
            given = {"action": action}
            if f"`{action}`" in actions:
                choose_rule(name, **given)
            else:
                with pytest.raises(UserError):
                    choose_rule(name, **given)


def test_every_rule_says_what_it_does() -> None:
    said = {name: str(choose_rule(name)) for name in RULES}
    assert said["angle"] == "drop: angle to the label above 75°, mean of the last 3 epochs"
    assert len(set(said.values())) == len(RULES)
    assert str(choose_rule("subcentre", reading="paper")) != said["subcentre"]
    assert str(choose_rule("angle", threshold="75.5deg", epochs=1)).endswith("above 75.5°, in the last epoch")
