"""Which images are chosen: exact counts, in one piece or in shards, evenly over the long tail."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_tools import selection
from datasets_tools.make_noise import kinds, make_manifest
from datasets_tools.selection import Thresholds, even_shares
from noisebench.errors import UserError
from noisebench.noise.counter import bits
from noisebench.noise.recipe import NoiseRecipe
from tests.fabricated import FabricatedSet, fabricated_set

BASE = fabricated_set(60)
WAYS = ("set", "class", "longtail")


def recipe(closed: int = 0, open_: int = 0, chosen_per: str = "set", at_most: str = "1") -> NoiseRecipe:
    """A recipe of these percentages."""
    content: dict[str, Any] = {"closed": {"rate": Decimal(closed) / 100}, "open": {"rate": Decimal(open_) / 100}}
    return NoiseRecipe.model_validate({"name": "x", "chosen_per": chosen_per, "at_most": at_most, **content})


@pytest.mark.parametrize("chosen_per", WAYS)
@given(cuts=st.lists(st.integers(0, len(BASE.keys)), min_size=7, max_size=7), order=st.integers(0, 99))
def test_eight_shards_give_what_one_process_gives(chosen_per: str, cuts: list[int], order: int) -> None:
    """Thresholds from the whole list of keys, then each shard by itself, in any order and of any size."""
    mixture = recipe(20, 20, chosen_per)
    whole = kinds(mixture, BASE.keys, BASE.labels, 60, seed=5)
    thresholds = Thresholds.of(mixture, BASE.keys, BASE.labels, 60, seed=5)
    shuffled = np.random.Generator(np.random.Philox(order)).permutation(len(BASE.keys))
    for shard in np.split(shuffled, sorted(cuts)):
        np.testing.assert_array_equal(thresholds.kinds(BASE.keys[shard], BASE.labels[shard]), whole[shard])


@pytest.mark.parametrize("chosen_per", WAYS)
def test_blocks_leave_no_trace(chosen_per: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = kinds(recipe(30, 10, chosen_per), BASE.keys, BASE.labels, 60, seed=5)
    monkeypatch.setattr(selection, "BLOCK", 37)
    np.testing.assert_array_equal(kinds(recipe(30, 10, chosen_per), BASE.keys, BASE.labels, 60, seed=5), whole)


def test_a_slow_walk_through_each_class_chooses_the_same_images() -> None:
    kind = kinds(recipe(25, 35, "class"), BASE.keys, BASE.labels, 60, seed=11)
    for label in range(60):
        rows = [row for row in range(len(kind)) if BASE.labels[row] == label]
        rows.sort(key=lambda row: int(bits(11, "noise", BASE.keys[row : row + 1])[0]))
        closed, open_ = len(rows) * 25 // 100, len(rows) * 35 // 100
        assert kind[rows].tolist() == [1] * closed + [0] * (len(rows) - closed - open_) + [2] * open_


def slow_shares(total: int, limits: list[int]) -> list[int]:
    """One image a class in each round, from the rarest on, until there are enough."""
    shares = [0] * len(limits)
    while True:
        for label in sorted(range(len(limits)), key=lambda label: (limits[label], label)):
            if sum(shares) == total:
                return shares
            if shares[label] < limits[label]:
                shares[label] += 1


@given(limits=st.lists(st.integers(0, 12), min_size=1, max_size=9), data=st.data())
def test_even_shares_are_those_of_a_slow_walk(limits: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(limits)))
    assert even_shares(total, np.array(limits)).tolist() == slow_shares(total, limits)


def test_the_long_tail_has_higher_rates_up_to_the_limit() -> None:
    manifest = make_manifest(recipe(30, 0, "longtail", "0.8"), BASE, None, seed=2)
    sizes, noisy = np.bincount(BASE.labels), manifest.images_per_class()["closed"]
    assert noisy.sum() == round(len(BASE.keys) * 0.3)
    assert (noisy <= 0.8 * sizes).all()
    below_limit = noisy < np.floor(0.8 * sizes)
    assert np.ptp(noisy[below_limit]) <= 1
    rates = {int(size): (noisy[sizes == size] / size).mean() for size in np.unique(sizes)}
    assert rates[3] > rates[6] > rates[13] > 0


def test_a_higher_rate_takes_more_of_the_same_images_along_the_long_tail() -> None:
    lower, higher = (kinds(recipe(rate, 0, "longtail"), BASE.keys, BASE.labels, 60, seed=3) for rate in (20, 30))
    assert (higher[lower == 1] == 1).all()
    assert (higher == 1).sum() > (lower == 1).sum()


def test_mixtures_along_the_long_tail_are_exact_and_disjoint() -> None:
    sizes = np.bincount(BASE.labels)
    for closed, open_ in itertools.product((0, 15, 40), (0, 20, 60)):
        manifest = make_manifest(recipe(closed, open_, "longtail"), BASE, fabricated_set(200, first_key=9000), seed=1)
        per_class = manifest.images_per_class()
        assert per_class["closed"].sum() == round(Decimal(closed) / 100 * len(BASE.keys))
        assert manifest.origin.asked == manifest.metadata().realised
        np.testing.assert_array_equal(sum(per_class.values()), sizes)


def test_a_limit_below_the_rate_is_one_line() -> None:
    limits = np.floor(np.bincount(BASE.labels) * 0.1).sum()
    asked = round(len(BASE.keys) * 0.3)
    with pytest.raises(
        UserError, match=rf"^the recipe asks for {asked} noisy images, .*leaves only {limits:.0f} \(raise"
    ):
        kinds(recipe(30, 0, "longtail", "0.1"), BASE.keys, BASE.labels, 60, seed=0)


def test_a_class_with_one_image_is_noisy_only_where_its_rate_is_whole() -> None:
    """Over the set it has its chance; by class and along the tail floor(1 x rate) is none."""
    labels = np.arange(1000, dtype=np.int32)
    singles = FabricatedSet(np.arange(1000), labels, 1000)
    assert (kinds(recipe(30), singles.keys, labels, 1000, seed=0) == 1).sum() == 300
    assert not kinds(recipe(99, 0, "class"), singles.keys, labels, 1000, seed=0).any()
    assert kinds(recipe(100, 0, "class"), singles.keys, labels, 1000, seed=0).all()
    with pytest.raises(UserError, match="leaves only 0"):
        kinds(recipe(30, 0, "longtail", "0.8"), singles.keys, labels, 1000, seed=0)
