"""Template pooling and pair scores against dictionaries and loops; whole numbers make every sum exact."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import UserError
from noisebench.evaluation import templates
from noisebench.evaluation.templates import Templates, pair_scores, pool


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 7))
def test_pooling_equals_the_definition(seed: int, count: int, block: int) -> None:
    random = np.random.default_rng(seed)
    features = random.integers(-4, 5, (count, 3)).astype(np.float32)
    template, medium = random.integers(5, 10, count) * 3, random.integers(0, 4, count)
    pooled = pool((features[start : start + block] for start in range(0, count, block)), template, medium)

    images = defaultdict(list)
    for image in range(count):
        images[template[image], medium[image]].append(features[image].astype(np.float64))
    assert pooled.ids.tolist() == sorted(set(template.tolist()))
    for number, vector in zip(pooled.ids, pooled.vectors, strict=True):
        total = np.sum([np.mean(frames, axis=0) for (owner, _), frames in images.items() if owner == number], axis=0)
        length = np.linalg.norm(total)
        np.testing.assert_allclose(vector, total / length if length > 1e-6 else vector, atol=2e-6)


def test_features_that_add_up_to_nothing_stay_zero() -> None:
    pooled = pool([np.array([[1, 2], [-1, -2]], np.float32)], np.array([7, 7]), np.array([1, 2]))
    assert pooled.vectors.tolist() == [[0, 0]]


@given(st.integers(0, 2**32), st.integers(1, 200), st.booleans(), st.sampled_from([8, 64, 1 << 20]))
def test_pair_scores_equal_a_loop(seed: int, count: int, ordered: bool, block: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.integers(-9, 10, (20, 5)).astype(np.float32)
    first, second = random.integers(0, 20, (2, count))
    if ordered:
        first = np.sort(first)
    expected = [float(vectors[i].astype(int) @ vectors[k].astype(int)) for i, k in zip(first, second, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "BLOCK_FLOATS", block)
        assert pair_scores(vectors, first, second).tolist() == expected
        patch.setattr(templates, "_CHEAPER_ALL", 0)
        assert pair_scores(vectors, first, second).tolist() == expected


def test_an_empty_template_is_named() -> None:
    pooled = Templates(np.array([3, 5]), np.zeros((2, 4), np.float32))
    assert pooled.rows(np.array([5, 3, 5])).tolist() == [1, 0, 1]
    for number in (1, 4, 9):
        with pytest.raises(UserError, match=f"template {number} has no image"):
            pooled.rows(np.array([3, number]))


def test_features_have_to_be_finite_and_as_many_as_images() -> None:
    block = np.ones((3, 2), np.float32)
    with pytest.raises(UserError, match="3 features for 4 images"):
        pool([block], np.zeros(4, int), np.zeros(4, int))
    block[1, 1] = np.nan
    with pytest.raises(UserError, match="embedding of image 4 is not finite"):
        pool([np.ones((3, 2), np.float32), block], np.zeros(6, int), np.zeros(6, int))
