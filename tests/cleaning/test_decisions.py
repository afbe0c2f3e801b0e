"""Decisions: no class is emptied, two rounds are one, and the file holds them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.cleaning.decisions import DECISIONS, DROPPED, KEPT, RELABELLED, SPARED, Decisions
from noisebench.cleaning.rules import NO_LABEL, Action, Verdict
from noisebench.errors import FileError
from noisebench.noise.manifest import Manifest
from tests.analysis.runs import manifest

NUM_CLASSES = 5


def a_manifest(num_rows: int) -> Manifest:
    """Some clean images, then as many with closed-set noise."""
    return manifest([0] * (num_rows // 2) + [1] * (num_rows - num_rows // 2), NUM_CLASSES)


def a_verdict(label: np.ndarray, action: Action, seed: int, share: float = 0.7) -> Verdict:
    random = np.random.Generator(np.random.Philox(seed))
    score = random.choice(np.arange(6, dtype=np.float32), len(label))
    other = ((label + random.integers(1, NUM_CLASSES, len(label))) % NUM_CLASSES).astype(np.int32)
    proposal = other if action == "relabel" else np.full(len(label), NO_LABEL, np.int32)
    return Verdict(score, random.random(len(label)) < share, proposal)


@given(st.integers(1, 25), st.sampled_from(["drop", "relabel"]), st.integers(0, 10_000))
def test_every_class_keeps_an_image_and_spares_no_more_than_it_must(num_rows: int, action: Action, seed: int) -> None:
    noise = a_manifest(num_rows)
    verdict = a_verdict(noise.label, action, seed)
    decided = Decisions.of(verdict, action, noise, 1)
    assert set(noise.label.tolist()) <= set(decided.new_label[decided.stays].tolist())
    assert (decided.decision == KEPT).tolist() == (~verdict.flagged).tolist()
    spared = np.flatnonzero(decided.decision == SPARED)
    assert len(set(noise.label[spared].tolist())) == len(spared)
    for row in spared:
        of_class = verdict.flagged & (noise.label == noise.label[row])
        assert of_class[noise.label == noise.label[row]].all()
        assert row == np.flatnonzero(of_class & (verdict.score == verdict.score[of_class].min()))[0]
    changed = np.flatnonzero(decided.changed)
    assert (decided.decision[changed] == (DROPPED if action == "drop" else RELABELLED)).all()
    if action == "relabel":
        assert (decided.new_label[changed] == verdict.proposal[changed]).all()
    assert (decided.round == decided.changed).all()


def test_a_class_that_lives_on_relabels_alone_does_not_lose_them_unseen() -> None:
    """Two classes exchange their only images but one is spared: then the other one is empty and is spared, too."""
    noise = manifest([0, 0, 0], 3)
    verdict = Verdict(
        score=np.array([1, 2, 3], np.float32),
        flagged=np.array([True, True, True]),
        proposal=np.array([1, 2, 1], np.int32),  # nothing is left of class 0, whose image is all that class 1 gets
    )
    decided = Decisions.of(verdict, "relabel", noise, 1)
    assert [DECISIONS[code] for code in decided.decision] == ["spared", "relabelled", "relabelled"]
    assert decided.new_label.tolist() == [0, 2, 1]
    verdict = Verdict(verdict.score, verdict.flagged, np.array([1, 0, 0], np.int32))
    decided = Decisions.of(verdict, "relabel", noise, 1)
    assert decided.new_label.tolist() == [1, 0, 2]


@given(
    st.integers(2, 25), st.sampled_from(["drop", "relabel"]), st.sampled_from(["drop", "relabel"]), st.integers(0, 999)
)
def test_two_rounds_are_one(num_rows: int, one: Action, two: Action, seed: int) -> None:
    noise = a_manifest(num_rows)
    first = Decisions.of(a_verdict(noise.label, one, seed, 0.4), one, noise, 1)
    left = np.flatnonzero(first.stays)
    label = first.new_label[left]
    verdict = a_verdict(label, two, seed + 1000, 0.4)
    flagged = verdict.flagged
    code = DROPPED if two == "drop" else RELABELLED
    second = Decisions(
        np.where(flagged, code, KEPT).astype(np.int8),
        np.where(flagged, verdict.proposal, label) if two == "relabel" else label,
        np.where(flagged, verdict.score, np.nan).astype(np.float32),
        np.where(flagged, 2, 0).astype(np.int16),
    )
    both = first.then(second, noise.label)
    for row in range(num_rows):
        if first.decision[row] == DROPPED:
            expected = (DROPPED, 1, first.score[row])
        else:
            place = int(np.flatnonzero(left == row)[0])
            score = verdict.score[place] if flagged[place] else first.score[row]
            if flagged[place] and two == "drop":
                expected = (DROPPED, 2, score)
            elif second.new_label[place] != noise.label[row]:
                expected = (RELABELLED, 2 if flagged[place] else 1, score)
            else:
                expected = (KEPT, 0, score)
            assert both.new_label[row] == second.new_label[place]
        assert (both.decision[row], both.round[row], both.score[row]) == expected


def test_the_file_holds_all_and_is_read_again(tmp_path: Path) -> None:
    noise = a_manifest(20)
    decided = Decisions.of(a_verdict(noise.label, "drop", 3), "drop", noise, 2)
    decided.score[4] = np.nan
    decided.write(tmp_path / "made.parquet", noise)
    table = pq.read_table(tmp_path / "made.parquet").to_pydict()
    assert table["row"] == list(range(20))
    assert table["index"] == noise.index.tolist()
    assert table["decision"] == [DECISIONS[code] for code in decided.decision]
    assert table["label"] == noise.label.tolist()
    kept_label = [
        None if code == DROPPED else int(label) for code, label in zip(decided.decision, noise.label, strict=True)
    ]
    assert table["new_label"] == kept_label
    assert table["score"][4] is None
    again = Decisions.read(tmp_path / "made.parquet", 20)
    for name, column in vars(decided).items():
        np.testing.assert_array_equal(getattr(again, name), column)
        assert getattr(again, name).dtype == column.dtype


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    noise = a_manifest(20)
    Decisions.of(a_verdict(noise.label, "drop", 3), "drop", noise, 1).write(tmp_path / "made.parquet", noise)
    noise.write(tmp_path / "noise.parquet")
    (tmp_path / "text.parquet").write_text("text")
    for name, rows, said in (
        ("made", 19, "holds no decisions on 19 images"),
        ("noise", 20, "holds no decisions on 20 images"),
        ("text", 20, "damaged"),
        ("missing", 20, "damaged"),
    ):
        with pytest.raises(FileError, match=said):
            Decisions.read(tmp_path / f"{name}.parquet", rows)
