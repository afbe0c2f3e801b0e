"""Corrections against loops over the samples, and against what BoundaryFace's tool counts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from noisebench.analysis.corrections import CorrectionHistory, corrections
from noisebench.noise.manifest import KINDS
from noisebench.noise.schema import CLEAN, CLOSED, OPEN
from tests.analysis.made_up import made_up_log, plain


def test_corrections_are_judged_one_by_one(tmp_path: Path) -> None:
    for samples in made_up_log(tmp_path):
        rows = plain(samples)
        row = corrections(samples).iloc[0]
        changed = [s for s in rows if s.used_label != s.label]
        closed = [s for s in rows if s.kind == CLOSED]
        to_true = [s for s in changed if s.kind == CLOSED and s.used_label == s.true_label]
        to_wrong = [s for s in changed if s.kind == CLOSED and s.used_label != s.true_label]
        harmed = [s for s in changed if s.kind == CLEAN]
        assert to_true
        assert to_wrong
        assert harmed
        assert row["samples"] == len(rows)
        assert row["corrected"] == len(changed)
        assert (row["to_true"], row["to_wrong"], row["of_clean"]) == (len(to_true), len(to_wrong), len(harmed))
        assert row["of_open"] == len([s for s in changed if s.kind == OPEN])
        assert row["precision"] == (len(changed) - len(harmed)) / len(changed)
        assert row["recall"] == (len(changed) - len(harmed)) / len([s for s in rows if s.kind != CLEAN])
        assert row["corrected_to_true"] == len(to_true) / len(closed)
        assert row["corrected_to_wrong"] == len(to_wrong) / len(closed)
        assert row["clean_harmed"] == len(harmed) / len([s for s in rows if s.kind == CLEAN])


def test_verify_intersects_pairs_of_image_and_label(tmp_path: Path) -> None:
    log = made_up_log(tmp_path)
    noise = log.manifest
    flipped = {(row, int(noise.true_label[row])) for row in range(len(noise)) if noise.kind[row] == CLOSED}
    for samples in log:
        logged = {(s.row, s.used_label) for s in plain(samples) if s.used_label != s.label}
        row = corrections(samples, num_flipped=len(flipped)).iloc[0]
        assert row["verify_precision"] == len(logged & flipped) / len(logged)
        assert row["verify_recall"] == len(logged & flipped) / len(flipped)


def test_shares_of_nothing_are_nan(tmp_path: Path) -> None:
    row = corrections(made_up_log(tmp_path, [CLEAN] * 12).epoch(0)).iloc[0]
    assert row["of_clean"] == row["corrected"] > 0
    assert row["precision"] == 0
    assert all(math.isnan(row[name]) for name in ("recall", "corrected_to_true", "corrected_to_wrong", "verify_recall"))


@pytest.fixture
def used_by_epoch(
    tmp_path: Path,
) -> tuple[CorrectionHistory, dict[int, dict[int, int]], dict[int, int], dict[int, str]]:
    """A history, and by hand: the label used of each row by epoch, the label given, the kind."""
    log = made_up_log(tmp_path, epochs=range(6))
    history = CorrectionHistory(len(log.manifest))
    used: dict[int, dict[int, int]] = {}
    for samples in log:
        history.add(samples)
        used[samples.epoch] = {s.row: s.used_label for s in plain(samples)}
    labels = dict(enumerate(log.manifest.label.tolist()))
    kinds = {row: KINDS[code] for row, code in enumerate(log.manifest.kind.tolist())}
    return history, used, labels, kinds


def test_changes_from_epoch_to_epoch(
    used_by_epoch: tuple[CorrectionHistory, dict[int, dict[int, int]], dict[int, int], dict[int, str]],
) -> None:
    history, used, labels, kinds = used_by_epoch
    frame = history.changes()
    assert len(frame) == 5 * 3
    for row in frame.itertuples():
        before, now = used[int(str(row.previous_epoch))], used[int(str(row.epoch))]
        both = [r for r in before if r in now and kinds[r] == row.kind and before[r] != labels[r]]
        assert row.corrected_before == len(both)
        assert row.kept == sum(now[r] == before[r] for r in both)
        assert row.moved == sum(now[r] not in (before[r], labels[r]) for r in both)
        assert row.dropped == sum(now[r] == labels[r] for r in both)
    assert frame[["kept", "moved", "dropped"]].to_numpy().sum() == frame["corrected_before"].sum() > 0
    assert (frame[["kept", "moved", "dropped"]].sum() > 0).all()


def test_how_often_and_how_steadily_a_sample_is_corrected(
    used_by_epoch: tuple[CorrectionHistory, dict[int, dict[int, int]], dict[int, int], dict[int, str]],
) -> None:
    history, used, labels, kinds = used_by_epoch
    targets = {r: [epoch[r] for epoch in used.values() if r in epoch and epoch[r] != labels[r]] for r in labels}
    frame = history.frequency()
    assert frame["samples"].sum() == len(labels)
    for row in frame.itertuples():
        rows = [r for r in labels if kinds[r] == row.kind and len(targets[r]) == row.epochs_corrected]
        assert row.samples == len(rows)
        assert row.to_one_label == sum(len(set(targets[r])) == 1 for r in rows)
