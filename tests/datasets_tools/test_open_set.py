"""Open-set noise: labels, places, reuse and exclusion of outliers, each against a slow derivation."""

from __future__ import annotations

import itertools
import subprocess
import sys
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datasets_tools.exclusion import Exclusion
from datasets_tools.make_noise import make_manifest
from datasets_tools.open_set import in_hash_order
from noisebench.errors import FileError, UserError
from noisebench.files import sha256_of
from noisebench.noise.counter import below, bits
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import NoiseRecipe, load_recipe
from noisebench.noise.schema import CLOSED, FROM_OUTLIERS, KINDS, OPEN
from tests.fabricated import FabricatedSet, fabricated_set
from tests.markdown import table_of
from tests.tiny import write_faces

BASE = fabricated_set(60)
OUTLIERS = fabricated_set(100, first_key=5000, folder="outliers")
FEW = fabricated_set(9, first_key=5000, folder="few")

PERCENTS = st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda rates: sum(rates) <= 100)
"""Closed-set and open-set rates in percent."""


def recipe(closed: int = 0, open_: int = 0, chosen_per: str = "set", **rules: Any) -> NoiseRecipe:
    """A recipe of these percentages, with these further rules for open-set noise."""
    content = {"closed": {"rate": Decimal(closed) / 100}, "open": {"rate": Decimal(open_) / 100, **rules}}
    return NoiseRecipe.model_validate({"name": "fabricated", "chosen_per": chosen_per, **content})


def rows(manifest: Manifest, kind: int) -> NDArray[np.int64]:
    return np.flatnonzero(manifest.kind == kind)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=200, unique=True))
def test_hashes_are_put_in_ascending_order(hashes: list[int]) -> None:
    assert_in_order(hashes)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60, unique=True)
)
def test_hashes_that_begin_alike_are_put_in_ascending_order(parts: list[tuple[int, int, int]]) -> None:
    hashes = [high << 48 | middle << 32 | low for high, middle, low in parts]
    assert_in_order(hashes)


def assert_in_order(hashes: list[int]) -> None:
    expected = sorted(range(len(hashes)), key=hashes.__getitem__)
    for count in {1, len(hashes) // 2 + 1, len(hashes)}:
        found = in_hash_order(np.array(hashes, dtype=np.uint64).__getitem__, np.arange(len(hashes)), count)
        assert found.tolist() == expected[:count]


def test_random_labels_are_those_of_a_hash_over_all_identities() -> None:
    manifest = make_manifest(recipe(0, 100, labels="random"), BASE, OUTLIERS, seed=7)
    np.testing.assert_array_equal(manifest.label, below(7, "open/random", BASE.keys, 60))


def test_random_labels_are_uniform_the_replaced_ones_included() -> None:
    num_classes, per_class = 10, 10_000
    labels = np.repeat(np.arange(num_classes, dtype=np.int32), per_class)
    base = FabricatedSet(np.arange(len(labels)), labels, num_classes)
    outliers = FabricatedSet(np.arange(len(labels)), labels, num_classes)
    manifest = make_manifest(recipe(0, 100, labels="random"), base, outliers, seed=0)
    confusion = np.bincount(labels * num_classes + manifest.label, minlength=num_classes**2)
    expected = per_class / num_classes
    statistic = ((confusion - expected) ** 2 / expected).sum()
    freedom = num_classes * (num_classes - 1)
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


def test_a_higher_rate_changes_no_random_label() -> None:
    manifests = [make_manifest(recipe(0, rate, labels="random"), BASE, OUTLIERS, seed=3) for rate in (20, 40, 60)]
    for lower, higher in itertools.pairwise(manifests):
        noisy = rows(lower, OPEN)
        np.testing.assert_array_equal(higher.label[noisy], lower.label[noisy])
        np.testing.assert_array_equal(higher.source_index[noisy], lower.source_index[noisy])


@pytest.mark.parametrize("targets", ["uniform", "permutation"])
def test_flipped_labels_are_those_of_one_flip_of_all_noisy_images(targets: str) -> None:
    content = {"closed": {"rate": Decimal("0.2"), "targets": targets}}
    mixed = NoiseRecipe.model_validate(
        {"name": "fabricated", **content, "open": {"rate": Decimal("0.3"), "labels": "flipped"}}
    )
    manifest = make_manifest(mixed, BASE, OUTLIERS, seed=2)
    noisy = manifest.kind != 0
    assert (manifest.label[noisy] != BASE.labels[noisy]).all()
    if targets == "permutation":
        np.testing.assert_array_equal(np.sort(manifest.label[noisy]), np.sort(BASE.labels[noisy]))
    else:
        everything = make_manifest(recipe(100), BASE, None, seed=2)
        np.testing.assert_array_equal(manifest.label[noisy], everything.label[noisy])


def tail_by_hand(kinds: NDArray[np.int8], labels: NDArray[np.int32], percent: int) -> list[int]:
    """BoundaryFace's rule read off its lists: per class the flipped first, then the others; the last are replaced."""
    tail = []
    for label in range(int(labels.max()) + 1):
        of_class = [row for row in range(len(labels)) if labels[row] == label]
        listed = [row for row in of_class if kinds[row] == CLOSED] + [row for row in of_class if kinds[row] != CLOSED]
        num_open = len(of_class) * percent // 100
        tail += listed[len(listed) - num_open :]
    return sorted(tail)


@given(rates=PERCENTS, seed=st.integers(0, 9), shuffle=st.booleans())
def test_the_tail_of_each_class_is_replaced(rates: tuple[int, int], seed: int, shuffle: bool) -> None:
    base = BASE.reordered(np.argsort(bits(seed, "test", BASE.keys))) if shuffle else BASE
    manifest = make_manifest(recipe(*rates, "class", place="tail"), base, OUTLIERS, seed)
    alone = make_manifest(recipe(rates[0], 0, "class"), base, OUTLIERS, seed)
    np.testing.assert_array_equal(rows(manifest, CLOSED), rows(alone, CLOSED))
    assert rows(manifest, OPEN).tolist() == tail_by_hand(alone.kind, base.labels, rates[1])
    assert manifest.origin.asked == manifest.metadata().realised


def test_classes_without_images_have_no_tail() -> None:
    labels = BASE.labels * 3 + 2
    sparse = FabricatedSet(BASE.keys, labels, 3 * 60 + 4)
    tails = [make_manifest(recipe(20, 30, "class", place="tail"), base, OUTLIERS, seed=4) for base in (BASE, sparse)]
    np.testing.assert_array_equal(tails[0].kind, tails[1].kind)


EIGHT = FabricatedSet(np.arange(1, 9), np.repeat(np.arange(2, dtype=np.int32), 4), 2)
THREE = FabricatedSet(np.arange(101, 104), np.array([0, 0, 1], dtype=np.int32), 2, Path("three"))


def test_the_worked_example_of_the_docs_is_what_is_made() -> None:
    table = table_of("docs/noise-protocols.md", "| record | identity | rank | kind |")
    assert [f"{int(bits(0, 'noise', EIGHT.keys)[row]) / 2**64:.3f}" for row in range(8)] == table["rank"]
    for labels, column in (("kept", "label: `kept`"), ("random", "`random`"), ("flipped", "`flipped`")):
        with pytest.warns(UserWarning, match="three: 4 images are replaced by 3 outliers, each used 1 or 2 times"):
            manifest = make_manifest(recipe(25, 50, reuse=True, labels=labels), EIGHT, THREE, seed=0)
        assert [KINDS[code] for code in manifest.kind] == table["kind"]
        assert list(map(str, manifest.source_index)) == table["image"]
        assert list(map(str, manifest.label)) == table[column]


@pytest.mark.filterwarnings("ignore:three")
def test_the_worked_example_of_the_tail_is_what_is_made() -> None:
    table = table_of("docs/noise-protocols.md", "| record | identity | rank | `any` |")
    for place in ("any", "tail"):
        manifest = make_manifest(recipe(25, 50, "class", reuse=True, place=place), EIGHT, THREE, seed=0)
        assert [KINDS[code] for code in manifest.kind] == table[f"`{place}`"]


@pytest.mark.parametrize("chosen_per", ["set", "longtail"])
def test_a_tail_is_that_of_a_class(chosen_per: str) -> None:
    with pytest.raises(ValueError, match="goes with chosen_per 'class'"):
        recipe(0, 30, chosen_per, place="tail")


@given(
    rates=PERCENTS,
    seed=st.integers(0, 99),
    rules=st.fixed_dictionaries(
        {"labels": st.sampled_from(["kept", "random", "flipped"]), "place": st.sampled_from(["any", "tail"])}
    ),
)
def test_the_parts_of_a_mixture_are_disjoint_and_of_exact_size(
    rates: tuple[int, int], seed: int, rules: dict[str, Any]
) -> None:
    """Counted from the columns alone: what is replaced is no flip, and each has the number the recipe says."""
    mixture = recipe(rates[0], rates[1], "class", reuse=True, **rules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manifest = make_manifest(mixture, BASE, FEW, seed)
    from_outliers = manifest.source == FROM_OUTLIERS
    own_image = manifest.source_index == BASE.keys
    assert not (from_outliers & own_image).any()
    flipped = own_image & (manifest.label != BASE.labels)
    for label, images in enumerate(np.bincount(BASE.labels)):
        of_class = BASE.labels == label
        assert flipped[of_class].sum() == images * rates[0] // 100
        assert from_outliers[of_class].sum() == images * rates[1] // 100


def test_outliers_are_used_again_in_another_order_when_all_are_used() -> None:
    """An independent derivation: the ranking from its high end takes round after round of sorted outliers."""
    with pytest.warns(UserWarning, match="few: ") as told:
        manifest = make_manifest(recipe(0, 60, reuse=True), BASE, FEW, seed=4)
    replaced = rows(manifest, OPEN)
    ranked = sorted(replaced, key=lambda row: -int(bits(4, "noise", BASE.keys)[row]))
    rounds = -(-len(replaced) // len(FEW.keys))
    assert rounds > 3
    streams = ["outliers", *(f"outliers/{number}" for number in range(1, rounds))]
    orders = [sorted(FEW.keys, key=lambda key: int(bits(4, stream, np.array([key]))[0])) for stream in streams]
    assert orders[0] != orders[1] != orders[2]
    expected = list(itertools.chain(*orders))[: len(replaced)]
    assert [int(manifest.source_index[row]) for row in ranked] == expected
    _, times = np.unique(manifest.source_index[replaced], return_counts=True)
    often = f"each used {min(times)} or {max(times)} times"
    assert [str(warning.message) for warning in told] == [
        f"few: {len(replaced)} images are replaced by {len(FEW.keys)} outliers, {often}"
    ]


def test_a_higher_rate_changes_no_replacement_though_outliers_are_used_again() -> None:
    with pytest.warns(UserWarning, match="few: "):
        manifests = [make_manifest(recipe(0, rate, reuse=True), BASE, FEW, seed=3) for rate in range(10, 101, 10)]
    for lower, higher in itertools.pairwise(manifests):
        noisy = rows(lower, OPEN)
        assert len(noisy) < len(rows(higher, OPEN))
        np.testing.assert_array_equal(higher.source_index[noisy], lower.source_index[noisy])


def test_a_manifest_with_an_outlier_in_several_rows_is_sound(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="few: "):
        manifest = make_manifest(recipe(0, 60, reuse=True), BASE, FEW, seed=4)
    manifest.write(tmp_path / "m.parquet")
    again = Manifest.read(tmp_path / "m.parquet")
    again.check_against(BASE, FEW)
    assert again.checksum == manifest.checksum


def test_enough_outliers_are_used_once_whether_or_not_they_may_be_used_again() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        once, again = (make_manifest(recipe(0, 30, reuse=reuse), BASE, OUTLIERS, seed=0) for reuse in (False, True))
    assert once.checksum == again.checksum


def test_too_few_outliers_are_an_error_that_says_how_to_use_them_again() -> None:
    with pytest.raises(UserError, match=r"^few: \d+ outlier images, but the recipe replaces \d+ .*'open.reuse: true'"):
        make_manifest(recipe(0, 60), BASE, FEW, seed=0)


def exclusion(folder: Path, text: str) -> Exclusion:
    path = folder / "exclude.txt"
    path.write_text(text)
    return Exclusion.read(path)


def test_excluded_identities_are_not_used_and_recorded(tmp_path: Path) -> None:
    excluded = exclusion(tmp_path, "# in both sets\n3\n\n 17  # the twin\n17\n99\n")
    manifest = make_manifest(recipe(0, 100), BASE, OUTLIERS, seed=0, exclusion=excluded)
    kept = OUTLIERS.reordered(np.flatnonzero(~np.isin(OUTLIERS.labels, [3, 17, 99])))
    assert manifest.checksum == make_manifest(recipe(0, 100), BASE, kept, seed=0).checksum
    recorded = manifest.origin.excluded
    assert recorded is not None
    assert (recorded.sha256, recorded.identities) == (sha256_of(tmp_path / "exclude.txt"), 3)
    manifest.check_against(BASE, OUTLIERS)
    assert make_manifest(recipe(20), BASE, OUTLIERS, seed=0, exclusion=excluded).origin.excluded is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("3\nm.0107_f\n", "line 2: found 'm.0107_f', expected one label of the outlier set"),
        ("-3\n", "line 1: found '-3'"),
        ("1 2\n", "line 1: found '1 2'"),
        ("9" * 5000, "line 1: found '99"),
        ("# none of ours\n3\n100\n", "line 3: there is no identity 100 in outliers, which has 100 "),
        ("\n".join(map(str, range(100))), "every identity is excluded, no outlier image is left"),
    ],
)
def test_a_wrong_list_of_identities_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        make_manifest(recipe(0, 30), BASE, OUTLIERS, seed=0, exclusion=exclusion(tmp_path, text))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_list_of_identities_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such list of identities"):
        Exclusion.read(tmp_path / "none.txt")


@pytest.mark.parametrize(("name", "rates"), [("c20o20", (20, 20)), ("c10o30", (10, 30)), ("c30o10", (30, 10))])
def test_boundaryface_mixtures_are_those_of_its_scripts(name: str, rates: tuple[int, int]) -> None:
    """By class, rounded down, the flips first and the outliers last, random labels, outliers used again."""
    with pytest.warns(UserWarning, match="fabricated: .* 3 outliers"):
        manifest = make_manifest(load_recipe(f"boundaryface_{name}"), BASE, fabricated_set(1, first_key=5000), seed=0)
    per_class = manifest.images_per_class()
    sizes = np.bincount(BASE.labels)
    np.testing.assert_array_equal(per_class["closed"], sizes * rates[0] // 100)
    np.testing.assert_array_equal(per_class["open"], sizes * rates[1] // 100)
    assert rows(manifest, OPEN).tolist() == tail_by_hand(manifest.kind, BASE.labels, rates[1])
    replaced = rows(manifest, OPEN)
    np.testing.assert_array_equal(manifest.label[replaced], below(0, "open/random", BASE.keys[replaced], 60))
    assert manifest.origin.recipe.open.rendering == "unaligned"


@pytest.mark.parametrize("percent", [10, 20, 30])
def test_random_labels_are_all_that_sets_two_recipes_apart(percent: int) -> None:
    kept, random = (
        make_manifest(load_recipe(f"open{percent}{end}"), BASE, OUTLIERS, seed=1) for end in ("", "_random")
    )
    np.testing.assert_array_equal(random.source_index, kept.source_index)
    assert (random.label != kept.label).any()


def noisebench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "noisebench", "data", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_from_the_command_line(tmp_path: Path) -> None:
    data, out, excluded = write_faces(tmp_path / "faces"), tmp_path / "m.parquet", tmp_path / "both.txt"
    (tmp_path / "open90.yaml").write_text("open: {rate: 0.9, reuse: true}")
    excluded.write_text("2 # of four identities, six images each\n")
    made = noisebench("noise", tmp_path / "open90.yaml", "--data", data, "--exclude", excluded, "--out", out)
    assert made.returncode == 0, made.stderr
    warning = f"{data / 'outliers'}: 32 images are replaced by 18 outliers, each used 1 or 2 times"
    assert made.stderr == f"noisebench: warning: {warning}\n"
    audited = noisebench("audit", out, "--data", data)
    assert audited.returncode == 0
    assert "not compared: which outlier replaces which image" in audited.stdout
    audited = noisebench("audit", out, "--data", data, "--exclude", excluded)
    assert (audited.returncode, audited.stderr) == (0, "")
    assert "not compared" not in audited.stdout
    excluded.write_text("3\n")
    audited = noisebench("audit", out, "--data", data, "--exclude", excluded)
    assert audited.returncode == 1
    assert "DIFFERS: which outlier replaces which image: the manifest follows another file" in audited.stdout
    excluded.write_text("4\n")
    refused = noisebench("noise", "open30", "--data", data, "--exclude", excluded, "--out", tmp_path / "none.parquet")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"noisebench: {excluded}: line 1: there is no identity 4 in ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "none.parquet").exists()


@pytest.mark.parametrize(
    ("name", "outliers", "checksum"),
    [
        ("open30_random", OUTLIERS, "aa445c4b6ff6a45e0d505d24172c7e6b4c375fa29f2a9612d18a975c28a153cc"),
        ("boundaryface_c20o20", THREE, "5905b664902c98990f035a9899ef0cfacf0f49ff106c89e6d771dba2cafce64b"),
    ],
)
@pytest.mark.filterwarnings("ignore:three")
def test_the_noise_of_a_recipe_never_changes(name: str, outliers: FabricatedSet, checksum: str) -> None:
    """Golden values, computed once by this code: a change breaks the comparison with every earlier run."""
    assert make_manifest(load_recipe(name), BASE, outliers, seed=0).checksum == checksum
