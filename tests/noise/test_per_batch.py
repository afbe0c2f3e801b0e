"""Noise by batch: which places of a batch are hit, by what, and what the recipe and the manifest say of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_tools.audit import audit
from datasets_tools.exclusion import Exclusion
from datasets_tools.make_noise import make_manifest
from noisebench.errors import FileError, UserError
from noisebench.noise.manifest import Manifest
from noisebench.noise.per_batch import BatchNoise
from noisebench.noise.recipe import NoiseRecipe, PerBatch, load_recipe
from noisebench.noise.schema import CLEAN, CLOSED, OPEN, Fingerprints
from tests.fabricated import fabricated_set

BASE, OUTLIERS = fabricated_set(), fabricated_set(6, first_key=500, folder="others")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "noise-protocols.md"


def recipe(closed: str = "0.15", open_: str = "0.05", batch_size: int | None = None) -> NoiseRecipe:
    rule = PerBatch(closed=Decimal(closed), open=Decimal(open_), batch_size=batch_size)
    return NoiseRecipe(name="mine", per_batch=rule)


def noise(recipe: NoiseRecipe, batch_size: int, seed: int = 0) -> BatchNoise:
    found = BatchNoise.of(recipe, seed, batch_size)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("closed", "open_", "batch_size", "counts"),
    [
        ("0.15", "0.05", 128, (19, 6)),  # of RobustFace's configurations
        ("0.15", "0.05", 12, (1, 0)),
        ("0.29", "0", 100, (29, 0)),  # 28 in binary fractions
        ("0.7", "0.3", 10, (7, 3)),
    ],
)
def test_counts_are_the_decimal_rates_rounded_down(
    closed: str, open_: str, batch_size: int, counts: tuple[int, int]
) -> None:
    found = noise(recipe(closed, open_), batch_size)
    assert (found.closed, found.open) == counts


def test_the_page_s_example_is_what_the_shipped_recipe_does() -> None:
    found = noise(load_recipe("batch15o05"), 128)
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index("## Per-batch noise") :].split("\n## ")[0]
    sentence = " ".join(section.split())
    for count, kind in ((found.open, "open-set"), (found.closed, "closed-set")):
        assert f"{count} {kind} images ({100 * count / 128:.2f} %)" in sentence


def test_another_noise_is_not_by_batch() -> None:
    assert BatchNoise.of(load_recipe("c20o20"), 0, 128) is None


@given(
    batch_size=st.integers(1, 40),
    percents=st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda pair: 0 < sum(pair) <= 100),
    start=st.integers(0, 200),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 20),
)
def test_the_first_places_of_each_batch_are_open_set_and_the_next_closed_set(
    batch_size: int, percents: tuple[int, int], start: int, seed: int, epoch: int
) -> None:
    closed, open_ = percents
    num_closed, num_open = closed * batch_size // 100, open_ * batch_size // 100
    rule = recipe(str(Decimal(closed) / 100), str(Decimal(open_) / 100))
    if num_closed + num_open == 0:
        with pytest.raises(UserError, match="hits no image in a batch"):
            BatchNoise.of(rule, seed, batch_size)
        return
    positions = np.arange(start, start + 50)
    exposures = noise(rule, batch_size, seed).in_epoch(epoch, OUTLIERS.keys).at(positions)
    for position, kind, key in zip(positions, exposures.kind, exposures.outlier_index, strict=True):
        place = position % batch_size
        expected = OPEN if place < num_open else CLOSED if place < num_open + num_closed else CLEAN
        assert kind == expected
        assert (key in OUTLIERS.keys) == (expected == OPEN)
        assert (key == -1) == (expected != OPEN)


def test_each_outlier_is_shown_once_before_one_is_shown_twice_and_every_epoch_has_another_order() -> None:
    found = noise(recipe("0.1", "0.3"), 10)
    positions = np.arange(10 * len(OUTLIERS.keys))
    shown = []
    for epoch in (0, 1):
        keys = found.in_epoch(epoch, OUTLIERS.keys).at(positions).outlier_index
        rounds = keys[keys >= 0].reshape(3, len(OUTLIERS.keys))
        assert (np.sort(rounds, axis=1) == OUTLIERS.keys).all()
        shown.append(rounds[0])
    assert (shown[0] != shown[1]).any()
    again = noise(recipe("0.1", "0.3"), 10, seed=1).in_epoch(0, OUTLIERS.keys).at(positions).outlier_index
    assert (again[again >= 0][: len(shown[0])] != shown[0]).any()


def test_the_outliers_of_a_seed_never_change() -> None:
    exposures = noise(recipe(), 128).in_epoch(3, np.arange(1000)).at(np.arange(256))
    expected = [587, 469, 478, 546, 18, 84, 957, 77, 414, 381, 148, 491]
    assert exposures.outlier_index[exposures.kind == OPEN].tolist() == expected


def test_counted_in_a_process_s_part_each_part_has_the_same_noise() -> None:
    """RobustFace's four processes of 128 images hit 4 x (6 + 19), one batch of 512 hits 25 + 76."""
    whole, parts = noise(recipe(), 512), noise(recipe(batch_size=128), 512)
    assert (whole.open, whole.closed) == (25, 76)
    kinds = parts.in_epoch(0, OUTLIERS.keys).at(np.arange(512)).kind.reshape(4, 128)
    assert (kinds == kinds[0]).all()
    assert [(kinds[0] == kind).sum() for kind in (OPEN, CLOSED)] == [6, 19]
    with pytest.raises(UserError, match="batch_size 200 is no multiple of the 128 images that noise 'mine' is counted"):
        BatchNoise.of(recipe(batch_size=128), 0, 200)


def test_a_closed_set_exposure_bears_the_label_after_its_own() -> None:
    exposures = noise(recipe("0.5", "0.25"), 4).in_epoch(0, OUTLIERS.keys).at(np.arange(4))
    assert exposures.labels(np.array([9, 9, 8, 9]), num_classes=10).tolist() == [9, 0, 9, 9]


def test_the_manifest_s_rows_are_clean_and_it_names_rule_and_outliers(tmp_path: Path) -> None:
    manifest = make_manifest(load_recipe("batch15o05"), BASE, OUTLIERS, seed=4)
    manifest.write(tmp_path / "batch.parquet")
    read = Manifest.read(tmp_path / "batch.parquet")
    assert (read.kind == CLEAN).all()
    assert (read.source == 0).all()
    assert read.checksum == make_manifest(load_recipe("clean"), BASE, None, seed=4).checksum
    assert read.origin.recipe.per_batch == PerBatch(closed=Decimal("0.15"), open=Decimal("0.05"))
    assert read.origin.fingerprints.outliers == OUTLIERS.fingerprint
    with pytest.raises(UserError, match="--outliers"):
        read.check_against(BASE, None)
    with pytest.raises(FileError, match="another outlier set"):
        read.check_against(BASE, BASE)
    report = audit(read, BASE, OUTLIERS)
    assert report.passed
    assert "15 % closed-set and 5 % open-set of every batch, rounded down" in str(report)
    assert "noise by batch: not a property of the sample" in str(report)


def test_without_open_set_noise_no_outliers_are_named() -> None:
    manifest = make_manifest(recipe("0.2", "0"), BASE, OUTLIERS, seed=0)
    assert manifest.origin.fingerprints.outliers is None
    manifest.check_against(BASE, None)


def test_a_manifest_that_contradicts_its_rule_is_refused() -> None:
    manifest = make_manifest(recipe(), BASE, OUTLIERS, seed=0)
    nobody = manifest.origin.model_copy(update={"fingerprints": Fingerprints(base=BASE.fingerprint, outliers=None)})
    with pytest.raises(ValueError, match="an outlier set is named if and only if"):
        replace(manifest, origin=nobody)
    fixed = make_manifest(load_recipe("c20o20"), BASE, OUTLIERS, seed=0)
    with pytest.raises(ValueError, match="an image is noisy, but the noise is by batch"):
        replace(fixed, origin=manifest.origin)


def test_what_training_could_not_do_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs an outlier set"):
        make_manifest(recipe(), BASE, None, seed=0)
    one = replace(BASE, labels=np.zeros_like(BASE.labels), num_classes=1)
    with pytest.raises(UserError, match="another identity"):
        make_manifest(recipe("0.1", "0"), one, None, seed=0)
    (tmp_path / "overlap.txt").write_text("3\n")
    with pytest.raises(UserError, match="identities cannot be excluded from noise by batch"):
        make_manifest(recipe(), BASE, OUTLIERS, seed=0, exclusion=Exclusion.read(tmp_path / "overlap.txt"))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("mine", "per_batch: {closed: 0.1, open: 0.1}\nclosed: {rate: 0.1}", "key 'closed' does not apply to noise by"),
        (
            "mine",
            "per_batch: {closed: 0.1, open: 0.1}\nopen: {rate: 0.1}",
            "key 'open' does not apply to noise by batch",
        ),
        ("mine", "per_batch: {closed: 0.1, open: 0.1}\nchosen_per: class", "key 'chosen_per' does not apply to noise"),
        ("mine", "per_batch: {closed: 0.1}", "key 'per_batch.open' is missing"),
        ("mine", "per_batch: {closed: 0.1, opn: 0.1}", "unknown key 'per_batch.opn': did you mean 'open'?"),
        (
            "mine",
            "per_batch: {closed: 0.6, open: 0.5}",
            "expected closed and open to add up to more than 0 and at most 1",
        ),
        ("mine", "per_batch: {closed: 0, open: 0}", "expected closed and open to add up to more than 0 and at most 1"),
        ("mine", "per_batch: {closed: 0.1, open: 0.1, batch_size: 0}", "key 'per_batch.batch_size' is 0"),
        ("batch15o05", "per_batch: {closed: 0.05, open: 0.15}", "key 'per_batch.closed' is 0.05, but the name"),
        (
            "batch15o05",
            "closed: {rate: 0.15}\nopen: {rate: 0.05}",
            "says noise by batch, but key 'per_batch' is missing",
        ),
        (
            "c15o05",
            "per_batch: {closed: 0.15, open: 0.05}",
            "does not say noise by batch, but key 'per_batch' is given",
        ),
        ("clean", "per_batch: {closed: 0.15, open: 0.05}", "does not say noise by batch, but key 'per_batch' is given"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(content)
    with pytest.raises(FileError) as caught:
        load_recipe(str(file))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
