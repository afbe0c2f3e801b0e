"""Every method in every mode against a slow formula of its own: loss, and gradients of embeddings and centres."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from noisebench.heads import class_head
from noisebench.heads.cosines import largest_of
from tests.heads import oracle
from tests.heads.cases import METHODS, Batch, Method, batches, make_batch, run

DIFFERENCE_ERROR = 1e-9  # the slow gradient, from differences, is no more exact than that
ROUNDING = 4 * 2.0**-24  # of a cosine: both lengths, the product, the scaling; times the scale, it is a probability's
EVERY = pytest.mark.parametrize("method", METHODS, ids=str)
MODES = pytest.mark.parametrize("mode", ["dense", "chunked"])


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """For a while, heads compute in blocks of so many classes by default: dense ones have no option for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_head, "CLASSES_PER_BLOCK_CPU", size)
        yield


def relative_error(found: Tensor, expected: oracle.Vector) -> float:
    difference = float(np.linalg.norm(found.double().numpy() - expected))
    return max(0.0, difference - DIFFERENCE_ERROR) / (float(np.linalg.norm(expected)) + DIFFERENCE_ERROR)


def assert_close(found: tuple[float, Tensor, Tensor], exact: tuple[float, Tensor, Tensor], most: float) -> None:
    assert found[0] == pytest.approx(exact[0], rel=most)
    for gradient, exact_gradient in zip(found[1:], exact[1:], strict=True):
        assert relative_error(gradient, exact_gradient.numpy()) <= most


def assert_is_the_formula(method: Method, batch: Batch, threshold: float | None = None, **engine: Any) -> None:
    """The engine in float64 against the slow formula."""

    def slow(x: oracle.Vector, centres: oracle.Vector) -> float:
        tau = math.inf if threshold is None else threshold
        return oracle.loss(x, centres, batch.labels, method.logits, batch.scale, tau)

    engine["sub_centres"] = batch.num_sub_centres
    loss, grad_x, grad_centres = run(method, batch, torch.float64, filter_threshold=threshold, **engine)
    assert loss == pytest.approx(slow(batch.x, batch.centres), rel=1e-7, abs=1e-12)
    assert relative_error(grad_x, oracle.gradient(lambda x: slow(x, batch.centres), batch.x)) <= 1e-7
    assert relative_error(grad_centres, oracle.gradient(lambda w: slow(batch.x, w), batch.centres)) <= 1e-7


@EVERY
@MODES
@settings(max_examples=8, deadline=None)
@given(batch=batches(sizes=(1, 3), classes=(2, 7), widths=(2, 4)), size=st.integers(1, 8))
def test_float64_equals_the_formula(method: Method, mode: str, batch: Batch, size: int) -> None:
    assume(batch.is_smooth())
    with blocks_of(size):
        assert_is_the_formula(method, batch, mode=mode)


@EVERY
@MODES
@settings(max_examples=4, deadline=None)
@given(batch=batches(sizes=(1, 3), classes=(2, 5), widths=(3, 4), sub_centres=3), size=st.integers(1, 12))
def test_sub_centres_equal_the_formula(method: Method, mode: str, batch: Batch, size: int) -> None:
    assume(batch.is_smooth())
    with blocks_of(size):
        assert_is_the_formula(method, batch, mode=mode)


@EVERY
@MODES
@settings(max_examples=6, deadline=None)
@given(batch=batches(sizes=(1, 3), classes=(2, 7), widths=(2, 4)), threshold=st.sampled_from([-0.3, 0.1, 0.4]))
def test_the_filter_leaves_classes_out(method: Method, mode: str, batch: Batch, threshold: float) -> None:
    assume(batch.is_smooth(filter_threshold=threshold))
    assert_is_the_formula(method, batch, threshold, mode=mode)


@EVERY
@MODES
@settings(max_examples=6, deadline=None)
@given(batch=batches(sizes=(1, 16), classes=(2, 200), widths=(16, 64)))
def test_float32_equals_float64(method: Method, mode: str, batch: Batch) -> None:
    assume(batch.is_smooth(1e-5))
    exact = run(method, batch, torch.float64)
    assert_close(run(method, batch, torch.float32, mode=mode), exact, most=max(1e-5, ROUNDING * batch.scale))


@MODES
@pytest.mark.parametrize("products", ["float32", "bfloat16"])
def test_the_labels_cosine_is_exact(mode: str, products: str) -> None:
    batch = make_batch(seed=2, size=64, num_classes=20, width=128, near=1.0, scale=64.0)
    head = METHODS[0].build(20, 128, 64.0, mode=mode, products=products)
    with torch.no_grad():
        head.centres.copy_(torch.from_numpy(batch.centres))
    found = head(torch.from_numpy(batch.x).float(), torch.tensor(batch.labels)).rows.cosine_label
    exact = np.array(oracle.cosines(batch.x, batch.centres))[range(64), batch.labels]
    assert np.abs(found.double().numpy() - exact).max() <= 2.0**-24


@EVERY
@MODES
def test_bfloat16_products_are_near(method: Method, mode: str) -> None:
    batch = make_batch(seed=1, size=32, num_classes=1000, width=128, near=0.3, scale=16.0)
    exact = run(method, batch, torch.float64)
    assert_close(run(method, batch, torch.float32, mode=mode, products="bfloat16"), exact, most=1e-2)


@EVERY
def test_modes_and_blocks_make_no_difference(method: Method) -> None:
    batch = make_batch(seed=0, size=16, num_classes=1000, width=32, near=0.5, scale=64.0)
    whole = run(method, batch, torch.float64, mode="dense")
    for size in (1000, 77, 1):
        torch.testing.assert_close(run(method, batch, torch.float64, mode="chunked", chunk_size=size), whole)


def test_blocks_kept_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(seed=0, size=16, num_classes=1000, width=32, near=0.5, scale=64.0)
    whole = run(METHODS[0], batch, torch.float64, mode="dense")
    for most_kept in (0, 3 * 16 * 77 * 8, 1 << 30):
        monkeypatch.setattr(class_head, "MOST_KEPT_BYTES", most_kept)
        torch.testing.assert_close(run(METHODS[0], batch, torch.float64, mode="chunked", chunk_size=77), whole)


@pytest.mark.parametrize("size", [1, 63, 64, 127, 128, 130, 192, 1000])
def test_the_largest_of_a_row_is_the_first_of_equals(size: int) -> None:
    rows = torch.randint(7, (50, size), generator=torch.Generator().manual_seed(size)).float()
    found, column = largest_of(rows)
    assert found.tolist() == [max(row) for row in rows.tolist()]
    assert column.tolist() == [row.index(max(row)) for row in rows.tolist()]
