from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.noise import counter
from noisebench.noise.counter import below, bits, derive_seed, shuffled, splitmix64

# The first outputs for seed 1234567 that implementations of SplitMix64 are commonly checked against.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
SEEDS = st.integers(0, 2**64 - 1)


def splitmix64_one_by_one(state: int, count: int) -> list[int]:
    """The algorithm as published: one state, advanced step by step, in Python's own integers."""
    outputs = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        mixed = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        outputs.append(mixed ^ mixed >> 31)
    return outputs


def test_splitmix64_gives_the_published_outputs() -> None:
    assert splitmix64(1234567, np.arange(5)).tolist() == PUBLISHED
    assert splitmix64_one_by_one(1234567, 5) == PUBLISHED


@given(state=SEEDS)
def test_splitmix64_equals_the_step_by_step_generator(state: int) -> None:
    assert splitmix64(state, np.arange(50)).tolist() == splitmix64_one_by_one(state, 50)


def test_wrapping_around_warns_of_nothing_and_keys_stay_as_they_are() -> None:
    keys = np.array([0, 1, 2**63 - 1, -1])
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert len(np.unique(bits(2**64 - 1, "noise", keys))) == 4
        below(3, "noise", keys, 2**32 - 1)
    assert keys.tolist() == [0, 1, 2**63 - 1, -1]


@given(seed=SEEDS, n=st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=20))
def test_below_is_the_exact_high_word_of_the_product(seed: int, n: list[int]) -> None:
    keys = np.arange(len(n))
    expected = [(random * bound) >> 64 for random, bound in zip(bits(seed, "s", keys).tolist(), n, strict=True)]
    assert below(seed, "s", keys, np.array(n)).tolist() == expected
    assert below(seed, "s", keys, n[0])[0] == expected[0]


@pytest.mark.parametrize("n", [0, -1, 2**32, np.array([3, 0])])
def test_below_refuses_an_impossible_bound(n: int) -> None:
    with pytest.raises(ValueError, match="from 1 to"):
        below(0, "s", np.arange(2), n)


def test_draws_are_uniform_over_neighbouring_keys() -> None:
    draws, values = 200_000, 50
    counts = np.bincount(below(0, "uniform", np.arange(draws), values), minlength=values)
    statistic = ((counts - draws / values) ** 2 / (draws / values)).sum()
    freedom = values - 1
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


def test_every_bit_is_a_fair_coin_and_independent_of_the_next_key_seed_and_stream() -> None:
    keys = np.arange(100_000)
    draws = bits(0, "a", keys)
    others = [bits(0, "a", keys + 1), bits(1, "a", keys), bits(0, "b", keys)]
    tolerance = 5 * np.sqrt(len(keys)) / 2
    for words in (draws, *(draws ^ other for other in others)):
        for position in range(64):
            ones = ((words >> np.uint64(position)) & np.uint64(1)).sum()
            assert abs(int(ones) - len(keys) / 2) < tolerance


def test_different_keys_never_tie() -> None:
    assert len(np.unique(bits(7, "noise", np.arange(300_000)))) == 300_000


@given(seed=SEEDS)
def test_derived_seeds_fit_every_generator_and_keep_names_apart(seed: int) -> None:
    seeds = [derive_seed(seed, *names) for names in [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", "")]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= derived < 2**63 for derived in seeds)
    assert derive_seed(seed, "a") == seeds[1]


@given(seed=SEEDS, count=st.integers(0, 3000))
def test_shuffled_numbers_are_all_there(seed: int, count: int) -> None:
    assert sorted(shuffled(seed, "s", count).tolist()) == list(range(count))


def test_shuffled_numbers_never_change_and_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shuffled(0, "s", 12).tolist() == [1, 9, 8, 2, 5, 3, 11, 10, 6, 7, 4, 0]
    whole = shuffled(0, "s", 5000)
    monkeypatch.setattr(counter, "_BLOCK", 1 << 7)
    np.testing.assert_array_equal(shuffled(0, "s", 5000), whole)


def test_every_number_comes_to_every_place() -> None:
    """Over many seeds: each of 6 numbers in each of 6 places, and each of the 24 orders of 4."""
    draws = 6000
    orders = np.array([shuffled(seed, "s", 6) for seed in range(draws)])
    places = np.bincount((orders + 6 * np.arange(6)).ravel(), minlength=36)
    assert abs(places - draws / 6).max() < 4.5 * np.sqrt(draws * 5 / 36)
    fours = [tuple(shuffled(seed, "s", 4).tolist()) for seed in range(draws)]
    counts = np.array([fours.count(order) for order in set(fours)])
    assert len(counts) == 24
    assert abs(counts - draws / 24).max() < 4.5 * np.sqrt(draws * 23 / 24**2)


def test_neighbours_are_torn_apart() -> None:
    """In a long order, a number says nothing of the next one: their differences spread as those of independent ones."""
    count = 100_000
    steps = np.diff(shuffled(7, "s", count)) % count
    counts = np.histogram(steps, bins=100, range=(0, count))[0]
    assert abs(counts - count / 100).max() < 5 * np.sqrt(count / 100)


@pytest.mark.parametrize("count", [-1, 1 << 30])
def test_shuffled_refuses_an_impossible_count(count: int) -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        shuffled(0, "s", count)
