"""The rules that give a mislabelled image its label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datasets_tools.closed_set import TARGET_RULES, Flips, flip
from noisebench.errors import UserError
from tests.fabricated import fabricated_set

BASE = fabricated_set(60)
RING = np.array([[(label + step) % 60 for step in (1, 2, 3)] for label in range(60)], dtype=np.int32)
"""Neighbours of each identity: the three after it."""


def flips_of(labels: list[int] | NDArray[np.int32], num_classes: int = 60, seed: int = 0) -> Flips:
    array = np.array(labels, dtype=np.int32)
    return Flips(seed, np.arange(len(array)) * 3 + 7, array, num_classes, RING)


@pytest.mark.parametrize("rule", TARGET_RULES)
def test_every_rule_gives_a_wrong_label_of_the_set_in_any_order(rule: str) -> None:
    wrong = flip(rule, Flips(3, BASE.keys, BASE.labels, 60, RING))
    assert wrong.dtype == np.int32
    assert ((wrong >= 0) & (wrong < 60) & (wrong != BASE.labels)).all()
    order = np.random.Generator(np.random.Philox(0)).permutation(len(wrong))
    np.testing.assert_array_equal(flip(rule, Flips(3, BASE.keys[order], BASE.labels[order], 60, RING)), wrong[order])


@pytest.mark.parametrize("rule", ["uniform", "successor", "hard"])
def test_a_row_alone_gets_the_label_it_has_among_others(rule: str) -> None:
    wrong = flip(rule, Flips(3, BASE.keys, BASE.labels, 60, RING))
    for part in np.array_split(np.arange(len(wrong)), 8):
        np.testing.assert_array_equal(flip(rule, Flips(3, BASE.keys[part], BASE.labels[part], 60, RING)), wrong[part])


def test_the_successor_is_the_next_label_and_the_first_after_the_last() -> None:
    assert flip("successor", flips_of([0, 3, 58, 59])).tolist() == [1, 4, 59, 0]


def test_hard_flips_take_every_neighbour_alike() -> None:
    wrong = flip("hard", flips_of(np.full(30_000, 7, dtype=np.int32)))
    taken = np.bincount(wrong, minlength=60)
    assert np.flatnonzero(taken).tolist() == [8, 9, 10]
    assert (abs(taken[8:11] - 10_000) < 4 * np.sqrt(30_000 * 2 / 9)).all()


@given(images=st.lists(st.integers(0, 9), min_size=1, max_size=8), seed=st.integers(0, 20))
def test_a_permutation_gives_away_what_it_takes_whenever_that_is_possible(images: list[int], seed: int) -> None:
    """Any number of images of each class: odd ones, a class that has just half, one that has more."""
    labels = np.repeat(np.arange(len(images), dtype=np.int32), images)
    if 2 * max(images) > len(labels) or not len(labels):
        return
    flips = flips_of(labels, num_classes=max(2, len(images)), seed=seed)
    wrong = flip("permutation", flips)
    assert sorted(wrong) == labels.tolist()
    assert (wrong != labels).all()


def test_more_than_half_of_one_identity_cannot_be_permuted() -> None:
    with pytest.raises(
        UserError, match=r"^the labels of 5 images cannot be permuted: 3 of them are of identity 4, more"
    ):
        flip("permutation", flips_of([4, 4, 4, 1, 2]))


def test_a_permutation_confuses_all_pairs_of_classes_alike() -> None:
    num_classes, per_class = 10, 5_000
    labels = np.repeat(np.arange(num_classes, dtype=np.int32), per_class)
    wrong = flip("permutation", flips_of(labels, num_classes))
    confusion = np.bincount(labels * num_classes + wrong, minlength=num_classes**2).reshape(num_classes, -1)
    others = confusion[~np.eye(num_classes, dtype=bool)]
    expected = per_class / (num_classes - 1)
    assert (abs(others - expected) < 5 * np.sqrt(expected)).all()


def test_what_cannot_be_done_is_one_line() -> None:
    with pytest.raises(UserError, match="only one"):
        flip("successor", flips_of([0, 0], num_classes=1))
    with pytest.raises(UserError, match=r"a file of class centres: name it to .* with --centres"):
        flip("hard", Flips(0, BASE.keys, BASE.labels, 60))
