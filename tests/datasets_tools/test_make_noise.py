from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datasets_tools.make_noise import image_sources, make_manifest, noisy_labels
from datasets_tools.neighbours import Neighbours
from datasets_tools.selection import Thresholds
from noisebench.config import recipe_names
from noisebench.errors import UserError
from noisebench.noise.counter import bits
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.recipe import NoiseRecipe, load_recipe
from tests.fabricated import FabricatedSet, fabricated_set

BASE = fabricated_set(60)
OUTLIERS = fabricated_set(100, first_key=5000, folder="outliers")

RING = Neighbours((np.arange(60)[:, None] + np.arange(1, 11)).astype(np.int32) % 60, sha256="x")
"""The identities after each stand for its most similar ones."""

PERCENTS = st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda rates: sum(rates) <= 100)
"""Closed-set and open-set rates in percent."""


def recipe(closed: int = 0, open_: int = 0, chosen_per: str = "set") -> NoiseRecipe:
    """A recipe of these percentages."""
    content = {"closed": {"rate": Decimal(closed) / 100}, "open": {"rate": Decimal(open_) / 100}}
    return NoiseRecipe.model_validate({"name": "fabricated", "chosen_per": chosen_per, **content})


def rows(manifest: Manifest, kind: str) -> NDArray[np.int64]:
    return np.flatnonzero(manifest.kind == KINDS.index(kind))


@given(rates=PERCENTS, seed=st.integers(0, 99))
def test_counts_over_the_set_are_exact(rates: tuple[int, int], seed: int) -> None:
    manifest = make_manifest(recipe(*rates), BASE, OUTLIERS, seed)
    n = len(BASE.keys)
    closed = round(Fraction(rates[0], 100) * n)
    open_ = min(round(Fraction(rates[1], 100) * n), n - closed)
    assert [len(rows(manifest, kind)) for kind in KINDS] == [n - closed - open_, closed, open_]
    assert manifest.origin.asked == manifest.metadata().realised


@given(rates=PERCENTS, seed=st.integers(0, 99))
def test_counts_in_each_class_are_exact(rates: tuple[int, int], seed: int) -> None:
    manifest = make_manifest(recipe(*rates, chosen_per="class"), BASE, OUTLIERS, seed)
    for kind, percent in zip(("closed", "open"), rates, strict=True):
        for label, found in enumerate(manifest.images_per_class()[kind]):
            assert found == percent * int((BASE.labels == label).sum()) // 100
    assert manifest.origin.asked == manifest.metadata().realised


def test_29_percent_is_29_and_not_28() -> None:
    hundred = FabricatedSet(np.arange(100), np.repeat(np.array([0, 1], dtype=np.int32), [50, 50]), 2)
    whole_class = FabricatedSet(np.arange(101), np.repeat(np.array([0, 1], dtype=np.int32), [100, 1]), 2)
    assert len(rows(make_manifest(recipe(29), hundred, None, 0), "closed")) == 29
    assert len(rows(make_manifest(recipe(29, chosen_per="class"), whole_class, None, 0), "closed")) == 29


@pytest.mark.parametrize("chosen_per", ["set", "class"])
def test_a_higher_rate_adds_noise_and_changes_none(chosen_per: str) -> None:
    manifests = [make_manifest(recipe(rate, chosen_per=chosen_per), BASE, None, seed=3) for rate in range(0, 101, 10)]
    for lower, higher in itertools.pairwise(manifests):
        noisy = rows(lower, "closed")
        assert len(noisy) < len(rows(higher, "closed"))
        np.testing.assert_array_equal(higher.kind[noisy], lower.kind[noisy])
        np.testing.assert_array_equal(higher.label[noisy], lower.label[noisy])


def test_a_higher_rate_adds_replacements_and_changes_none() -> None:
    manifests = [make_manifest(recipe(0, rate), BASE, OUTLIERS, seed=3) for rate in range(0, 101, 10)]
    for lower, higher in itertools.pairwise(manifests):
        noisy = rows(lower, "open")
        assert len(noisy) < len(rows(higher, "open"))
        np.testing.assert_array_equal(higher.source_index[noisy], lower.source_index[noisy])


@pytest.mark.parametrize("chosen_per", ["set", "class"])
def test_a_mixture_is_its_two_parts_side_by_side(chosen_per: str) -> None:
    both, closed, open_ = (
        make_manifest(recipe(*rates, chosen_per=chosen_per), BASE, OUTLIERS, seed=1)
        for rates in [(30, 40), (30, 0), (0, 40)]
    )
    np.testing.assert_array_equal(rows(both, "closed"), rows(closed, "closed"))
    np.testing.assert_array_equal(rows(both, "open"), rows(open_, "open"))
    np.testing.assert_array_equal(both.label, closed.label)
    np.testing.assert_array_equal(both.source_index, open_.source_index)


@given(order=st.permutations(range(len(BASE.keys))), chosen_per=st.sampled_from(["set", "class"]))
def test_the_order_of_the_records_does_not_matter(order: list[int], chosen_per: str) -> None:
    straight = make_manifest(recipe(20, 20, chosen_per), BASE, OUTLIERS, seed=5)
    permutation = np.array(order)
    shuffled = make_manifest(recipe(20, 20, chosen_per), BASE.reordered(permutation), OUTLIERS, seed=5)
    for name, column in straight.columns().items():
        np.testing.assert_array_equal(shuffled.columns()[name], column[permutation], err_msg=name)


def test_the_order_of_the_outliers_does_not_matter() -> None:
    reversed_ = OUTLIERS.reordered(np.arange(len(OUTLIERS.keys))[::-1])
    straight, shuffled = (make_manifest(recipe(0, 50), BASE, outliers, seed=5) for outliers in (OUTLIERS, reversed_))
    assert straight.checksum == shuffled.checksum


def test_a_slow_walk_over_the_ranking_gives_the_same_noise() -> None:
    """An independent derivation: sort in Python, take from both ends, pair with the sorted outliers."""
    manifest = make_manifest(recipe(17, 23), BASE, OUTLIERS, seed=11)
    n = len(BASE.keys)
    ranking = sorted(range(n), key=lambda row: int(bits(11, "noise", BASE.keys[row : row + 1])[0]))
    outliers = sorted(range(len(OUTLIERS.keys)), key=lambda row: int(bits(11, "outliers", OUTLIERS.keys)[row]))
    assert sorted(ranking[: round(n * 17 / 100)]) == rows(manifest, "closed").tolist()
    replaced = ranking[: -round(n * 23 / 100) - 1 : -1]
    assert sorted(replaced) == rows(manifest, "open").tolist()
    for row, outlier in zip(replaced, outliers, strict=False):
        assert manifest.source_index[row] == OUTLIERS.keys[outlier]
        assert manifest.source_label[row] == OUTLIERS.labels[outlier]
        assert manifest.label[row] == BASE.labels[row]


def test_wrong_labels_are_uniform_over_the_other_identities() -> None:
    num_classes, per_class = 12, 10_000
    labels = np.repeat(np.arange(num_classes, dtype=np.int32), per_class)
    manifest = make_manifest(recipe(100), FabricatedSet(np.arange(len(labels)), labels, num_classes), None, seed=0)
    confusion = np.bincount(labels * num_classes + manifest.label, minlength=num_classes**2).reshape(num_classes, -1)
    assert (confusion.diagonal() == 0).all()
    others = confusion[~np.eye(num_classes, dtype=bool)]
    expected = per_class / (num_classes - 1)
    statistic = ((others - expected) ** 2 / expected).sum()
    freedom = num_classes * (num_classes - 2)
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


def test_noise_falls_on_all_classes_alike() -> None:
    num_classes, per_class = 50, 1000
    labels = np.repeat(np.arange(num_classes, dtype=np.int32), per_class)
    manifest = make_manifest(recipe(30), FabricatedSet(np.arange(len(labels)), labels, num_classes), None, seed=0)
    noisy = manifest.images_per_class()["closed"]
    statistic = ((noisy - 300) ** 2 / (per_class * 0.3 * 0.7)).sum()
    assert abs(statistic - num_classes) < 4 * np.sqrt(2 * num_classes)


def test_outliers_are_used_once_and_keep_the_replaced_label() -> None:
    manifest = make_manifest(recipe(0, 100), BASE, OUTLIERS, seed=0)
    assert len(np.unique(manifest.source_index)) == len(BASE.keys)
    assert set(manifest.source_index) <= set(OUTLIERS.keys)
    np.testing.assert_array_equal(manifest.source_label, OUTLIERS.labels[manifest.source_index - OUTLIERS.keys[0]])
    np.testing.assert_array_equal(manifest.label, BASE.labels)


def test_another_seed_makes_other_noise() -> None:
    first, second = (make_manifest(recipe(30), BASE, None, seed) for seed in (0, 1))
    both = np.intersect1d(rows(first, "closed"), rows(second, "closed"))
    assert 0 < len(both) < len(rows(first, "closed"))
    assert (first.label[both] != second.label[both]).any()


def test_clean_changes_nothing() -> None:
    manifest = make_manifest(load_recipe("clean"), BASE, OUTLIERS, seed=0)
    np.testing.assert_array_equal(manifest.label, BASE.labels)
    np.testing.assert_array_equal(manifest.source_index, BASE.keys)
    assert not manifest.kind.any()
    assert manifest.origin.fingerprints.outliers is None


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("closed30", "d4f8a8e4383a3457a16ea44182c0723575b4d61038b686f772a8147d99e0751a"),
        ("c20o20", "220fc82b8c8d3654be480e9228292ffbc3fd726aa3d9dc233f549ae99fb81ee5"),
        ("boundaryface_closed20", "2cc4f555748061e4269f959e513991c1aa56be6b1ffaa20ce292627076832030"),
        ("m15o05", "eae789f40f63ac1b76d41558d789226749e76f8aa6667a24c91a6cc720fbe32a"),
        ("noiseface40", "65a64cbe4c6ab92b085cfcb35c852ee6b87bf038762ce99568e8332c812f34ce"),
        ("hard20", "99e0a4b41dd2e205ab29faffee4b34803bae8bc42729ad37e0aa7bc0a0d2ef64"),
        ("longtail30", "52d1b6b823b4dc7cb3370140e91a6f3728ff56e47e3c1129a6c811f03ad68e71"),
        ("conflict", "17ff1270da2931ffe12ae17fb9f3f74897dd72e2ef7a5149dab0a243ef71b561"),
        ("merged", "1caf7abc3d96fd49db5219c8f28831cd510ef17a0b08972e362264fe210f0c98"),
    ],
)
def test_the_noise_of_a_recipe_never_changes(name: str, checksum: str) -> None:
    """Golden values, computed once by this code: a change breaks the comparison with every earlier run."""
    assert make_manifest(load_recipe(name), BASE, OUTLIERS, seed=0, neighbours=RING).checksum == checksum


ROW_WISE = [
    "clean", "closed30", "boundaryface_closed20", "hard20", "longtail30", "conflict", "merged", "m15o05",
    "open20_random",
]  # fmt: skip


@pytest.mark.parametrize("name", ROW_WISE)
def test_eight_shards_make_the_manifest_that_one_process_makes(name: str) -> None:
    """Thresholds from the whole list of keys; then kinds and labels of each shard from its own keys and labels."""
    recipe_, rows = load_recipe(name), (BASE.keys, BASE.labels, 60, 7)
    whole = make_manifest(recipe_, BASE, OUTLIERS, seed=7, neighbours=RING)
    thresholds = Thresholds.of(recipe_, *rows)
    shards = np.array_split(np.random.Generator(np.random.Philox(0)).permutation(len(BASE.keys)), 8)
    kind, label = np.empty_like(whole.kind), np.empty_like(whole.label)
    for shard in shards:
        keys, labels = BASE.keys[shard], BASE.labels[shard]
        kind[shard] = thresholds.kinds(keys, labels)
        label[shard] = noisy_labels(recipe_, kind[shard], keys, labels, 60, 7, RING)
    images = image_sources(recipe_, kind, BASE.keys, BASE.labels, OUTLIERS, 7)
    assert Manifest(BASE.keys, BASE.labels, label, kind, *images, whole.origin).checksum == whole.checksum


@pytest.mark.parametrize("name", ["noiseface20", "noiseface40", "noiseface60"])
def test_noiseface_permutes_the_labels_of_flips_and_outliers_together(name: str) -> None:
    manifest = make_manifest(load_recipe(name), BASE, OUTLIERS, seed=2)
    noisy = manifest.kind > 0
    assert (manifest.label[noisy] != BASE.labels[noisy]).all()
    assert sorted(manifest.label[noisy]) == sorted(BASE.labels[noisy])
    np.testing.assert_array_equal(np.bincount(manifest.label), np.bincount(BASE.labels))
    assert manifest.origin.asked.closed == manifest.origin.asked.open == round(len(BASE.keys) * int(name[-2:]) / 200)


@pytest.mark.parametrize("name", recipe_names("noise"))
def test_every_shipped_recipe_can_be_made(name: str) -> None:
    manifest = make_manifest(load_recipe(name), BASE, OUTLIERS, seed=0, neighbours=RING)
    assert manifest.origin.recipe.name == name
    assert manifest.origin.asked == manifest.metadata().realised


def test_what_cannot_be_made_is_explained() -> None:
    alone = FabricatedSet(np.arange(10), np.zeros(10, dtype=np.int32), 1)
    with pytest.raises(UserError, match="only one"):
        make_manifest(recipe(30), alone, None, seed=0)
    assert len(make_manifest(recipe(0), alone, None, seed=0)) == 10
    with pytest.raises(UserError, match="needs an outlier set: name it with --outliers"):
        make_manifest(recipe(0, 30), BASE, None, seed=0)
    needed = round(Fraction(30, 100) * len(BASE.keys))
    few = OUTLIERS.reordered(np.arange(needed - 1))
    with pytest.raises(
        UserError, match=f"^outliers: {needed - 1} outlier images, but the recipe replaces {needed} .*rate"
    ):
        make_manifest(recipe(0, 30), BASE, few, seed=0)
    enough = OUTLIERS.reordered(np.arange(needed))
    assert len(rows(make_manifest(recipe(0, 30), BASE, enough, seed=0), "open")) == needed
    absurd = FabricatedSet(BASE.keys, BASE.labels, 2**31 - 1)
    with pytest.raises(UserError, match=f"^fabricated: has {2**31 - 1} identities"):
        make_manifest(recipe(30), absurd, None, seed=0)
