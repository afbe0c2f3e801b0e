"""Cleaning by a finished run: the manifest of what remains, its quality, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from datasets_tools.app import app as data_tools
from datasets_tools.known_list import KnownList
from datasets_tools.known_noise import known_manifest
from datasets_tools.make_noise import make_manifest
from datasets_tools.materialize import materialize
from noisebench.bench.store import Run
from noisebench.cleaning.clean_run import clean_run, cleaned_before, cleaned_manifest
from noisebench.cleaning.decisions import DROPPED, RELABELLED, Decisions
from noisebench.cleaning.quality import Quality
from noisebench.cleaning.rules import AngleRule, GapRule
from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import NoiseRecipe, PerBatch, load_recipe
from noisebench.noise.schema import CLEAN, CLOSED, KINDS, OPEN
from tests.analysis.made_up import made_up_run
from tests.analysis.runs import record
from tests.fabricated import fabricated_set
from tests.tiny import write_faces

RUN = Run(Path("run"), record())
RULE = AngleRule()


def decided(noise: Manifest, dropped: list[int], relabelled: dict[int, int]) -> Decisions:
    decision, label = np.zeros(len(noise), np.int8), noise.label.copy()
    decision[dropped], decision[list(relabelled)] = DROPPED, RELABELLED
    for row, new in relabelled.items():
        label[row] = new
    return Decisions(decision, label, np.zeros(len(noise), np.float32), (decision > 0).astype(np.int16))


def test_what_remains_is_a_manifest_of_the_same_data_and_says_what_is_true(tmp_path: Path) -> None:
    base, strangers = fabricated_set(), fabricated_set(30, first_key=500, folder="outliers")
    noise = make_manifest(load_recipe("c20o20"), base, strangers, seed=0)
    closed, is_open = np.flatnonzero(noise.kind == CLOSED), np.flatnonzero(noise.kind == OPEN)
    clean = np.flatnonzero(noise.kind == CLEAN)
    dropped = [int(clean[0]), int(closed[0]), int(is_open[0])]
    relabelled = {
        int(closed[1]): int(noise.true_label[closed[1]]),
        int(closed[2]): int((noise.true_label[closed[2]] + 1) % 20),
        int(clean[1]): int((noise.label[clean[1]] + 1) % 20),
        int(is_open[1]): int((noise.label[is_open[1]] + 1) % 20),
    }
    left = cleaned_manifest(noise, decided(noise, dropped, relabelled), RUN, RULE)
    left.write(tmp_path / "left.parquet")
    left = Manifest.read(tmp_path / "left.parquet")
    left.check_against(base, strangers)
    assert left.num_base_images == len(base.keys) == len(left) + 3
    by_key = {int(key): row for row, key in enumerate(left.index)}
    for row, key in enumerate(noise.index.tolist()):
        if row in dropped:
            assert key not in by_key
            continue
        here = by_key[key]
        label = relabelled.get(row, int(noise.label[row]))
        kind = "open" if noise.kind[row] == OPEN else "clean" if label == noise.true_label[row] else "closed"
        assert (left.label[here], KINDS[left.kind[here]], left.true_label[here]) == (label, kind, noise.true_label[row])
        assert (left.source[here], left.source_index[here]) == (noise.source[row], noise.source_index[row])
    assert left.origin.recipe.name == "c20o20-cleaned1"
    cleaned = left.origin.cleaned
    assert cleaned is not None
    assert (cleaned.manifest, cleaned.run, cleaned.rounds) == (noise.checksum, RUN.record.hash, 1)
    too_many = left.origin.model_copy(update={"cleaned": cleaned.model_copy(update={"dropped": 4})})
    with pytest.raises(FileError, match="labels are not those"):
        Manifest(**left.columns(), origin=too_many).check_base(base)

    twice = cleaned_manifest(left, decided(left, [0, 1], {}), RUN, RULE)
    assert twice.origin.recipe.name == "c20o20-cleaned2"
    twice.check_base(base)
    no_strangers = np.flatnonzero(left.kind == OPEN).tolist()
    cleaned_manifest(left, decided(left, no_strangers, {}), RUN, RULE).check_against(base, None)


def test_noise_that_was_found_can_be_cleaned(tmp_path: Path) -> None:
    base = fabricated_set(20, first_key=10)
    (tmp_path / "list.csv").write_text("10,4\n11,-1\n12,3\n")
    noise = known_manifest(KnownList.read(tmp_path / "list.csv"), base, "clean")
    left = cleaned_manifest(noise, decided(noise, [2], {0: 4, 1: 7, 5: 2}), RUN, RULE)
    left.check_base(base)
    said = {
        int(key): (KINDS[kind], int(label)) for key, kind, label in zip(left.index, left.kind, left.label, strict=True)
    }
    assert (said[10], said[11], said[15]) == (("clean", 4), ("open", 7), ("closed", 2))
    assert 12 not in said


def test_the_quality_is_counted_by_the_truth() -> None:
    noise = make_manifest(load_recipe("c20o20"), fabricated_set(), fabricated_set(30, first_key=500), seed=0)
    closed, is_open, clean = (np.flatnonzero(noise.kind == code) for code in (CLOSED, OPEN, CLEAN))
    relabels = {int(row): int(noise.true_label[row]) for row in closed[:6]}
    relabels |= {int(clean[9]): int((noise.label[clean[9]] + 1) % 20)}
    decisions = decided(noise, [*closed[6:9], *is_open[:4], *clean[:5]], relabels)
    quality = Quality.of(noise, decisions)
    found, noisy = 6 + 3 + 4, len(closed) + len(is_open)
    assert quality.precision == pytest.approx(found / (found + 6))
    assert quality.recall == pytest.approx(found / noisy)
    assert (quality.recall_closed, quality.recall_open) == pytest.approx((9 / len(closed), 4 / len(is_open)))
    assert quality.clean_lost == pytest.approx(6 / len(clean))
    assert quality.to_true == pytest.approx(6 / 7)
    assert quality.noise_before == pytest.approx(noisy / len(noise))
    after = cleaned_manifest(noise, decisions, RUN, RULE)
    assert quality.noise_after == pytest.approx((after.kind != CLEAN).mean())
    assert f"{12} dropped, {7} relabelled" in str(quality)
    assert "relabelled to the true class: 85.71 %" in str(quality)


def test_a_set_without_known_noise_has_no_precision() -> None:
    noise = make_manifest(load_recipe("clean"), fabricated_set(), None, seed=0)
    assert "precision and recall are not defined" in str(Quality.of(noise, decided(noise, [3], {})))


def test_a_cleaning_is_written_and_found_again(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    rule = GapRule(action="relabel")
    made = clean_run(run, rule)
    assert made.share_changed > 0
    assert (made.decisions.changed & (made.before.label == made.decisions.new_label)).sum() == 0
    made.write(tmp_path / "left.parquet")
    found = cleaned_before(run, rule, tmp_path / "left.parquet")
    assert found.after.checksum == made.after.checksum
    assert found.after.origin == made.after.origin
    for name, column in vars(made.decisions).items():
        np.testing.assert_array_equal(getattr(found.decisions, name), column)
    with pytest.raises(FileError, match=r"was made by the rule 'relabel: .*', not 'drop: "):
        cleaned_before(run, GapRule(), tmp_path / "left.parquet")
    other = Run(run.folder, run.record.model_copy(update={"hash": "another"}))
    with pytest.raises(FileError, match="was made by another run "):
        cleaned_before(other, rule, tmp_path / "left.parquet")


def test_a_cleaned_set_is_materialized_and_audited(tmp_path: Path) -> None:
    base = FaceSet.open(write_faces(tmp_path / "faces"))
    noise = make_manifest(load_recipe("closed30"), base, None, seed=0)
    noisy = np.flatnonzero(noise.kind == CLOSED).tolist()
    left = cleaned_manifest(noise, decided(noise, noisy[1:], {noisy[0]: int(noise.true_label[noisy[0]])}), RUN, RULE)
    materialize(left, base, None, tmp_path / "clean")
    made = FaceSet.open(tmp_path / "clean")
    assert sorted(made.labels) == sorted(base.labels[np.isin(base.keys, left.index)])
    images = {bytes(made.jpeg(int(key))): int(label) for key, label in zip(made.keys, made.labels, strict=True)}
    assert images == {
        bytes(base.jpeg(int(key))): int(label)
        for row, (key, label) in enumerate(zip(base.keys, base.labels, strict=True))
        if row not in noisy[1:]
    }
    left.write(tmp_path / "left.parquet")
    audited = CliRunner().invoke(
        data_tools, ["audit", str(tmp_path / "left.parquet"), "--data", str(tmp_path / "faces")]
    )
    assert audited.exit_code == 0, audited.output


def test_a_run_that_cannot_be_judged_by_is_refused(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "one")
    unfinished = Run(run.folder, run.record.model_copy(update={"status": "interrupted"}))
    with pytest.raises(FileError, match="is a run that is interrupted, not done"):
        clean_run(unfinished, RULE)
    (run.folder / "samples").rename(run.folder / "elsewhere")
    with pytest.raises(FileError, match="no sample log here"):
        clean_run(run, RULE)
    (run.folder / "elsewhere").rename(run.folder / "samples")
    other = Run(run.folder, run.record.model_copy(update={"manifest_checksum": run.record.manifest_checksum[::-1]}))
    with pytest.raises(FileError, match="no such noise manifest"):
        clean_run(other, RULE)


def test_noise_by_batch_is_no_property_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = NoiseRecipe(name="mixed", per_batch=PerBatch(closed=0.1, open=0))
    noise = make_manifest(recipe, fabricated_set(), None, seed=0)
    monkeypatch.setattr(Run, "manifest", lambda self: noise)
    with pytest.raises(UserError, match="drawn anew for every batch"):
        clean_run(RUN, RULE)
