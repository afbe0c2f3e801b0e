"""Every method against a slow formula of its own: loss, and gradients of embeddings and centres."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from noisebench.heads import cosines
from tests.heads import oracle
from tests.heads.cases import METHODS, Batch, Method, batches, make_batch, run

DIFFERENCE_ERROR = 1e-9  # the slow gradient, from differences, is no more exact than that


def relative_error(found: Tensor, expected: oracle.Vector) -> float:
    difference = float(np.linalg.norm(found.double().numpy() - expected))
    return max(0.0, difference - DIFFERENCE_ERROR) / (float(np.linalg.norm(expected)) + DIFFERENCE_ERROR)


@pytest.mark.parametrize("method", METHODS, ids=str)
@settings(max_examples=15, deadline=None)
@given(batch=batches(sizes=(1, 3), classes=(2, 7), widths=(2, 4)), classes_per_block=st.integers(1, 8))
def test_float64_equals_the_formula(method: Method, batch: Batch, classes_per_block: int) -> None:
    assume(batch.is_smooth())

    def slow(x: oracle.Vector, centres: oracle.Vector) -> float:
        return oracle.loss(x, centres, batch.labels, method.logits, batch.scale)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosines, "CLASSES_PER_BLOCK_CPU", classes_per_block)
        loss, grad_x, grad_centres = run(method, batch, torch.float64)
    assert loss == pytest.approx(slow(batch.x, batch.centres), rel=1e-7)
    assert relative_error(grad_x, oracle.gradient(lambda x: slow(x, batch.centres), batch.x)) <= 1e-7
    assert relative_error(grad_centres, oracle.gradient(lambda w: slow(batch.x, w), batch.centres)) <= 1e-7


@pytest.mark.parametrize("method", METHODS, ids=str)
@settings(max_examples=15, deadline=None)
@given(batch=batches(sizes=(1, 16), classes=(2, 200), widths=(16, 64)))
def test_float32_equals_float64(method: Method, batch: Batch) -> None:
    assume(batch.is_smooth(1e-5))
    loss, grad_x, grad_centres = run(method, batch, torch.float32)
    exact_loss, exact_grad_x, exact_grad_centres = run(method, batch, torch.float64)
    assert loss == pytest.approx(exact_loss, rel=1e-5)
    assert relative_error(grad_x, exact_grad_x.numpy()) <= 1e-5
    assert relative_error(grad_centres, exact_grad_centres.numpy()) <= 1e-5


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_blocks_of_classes_make_no_difference(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(seed=0, size=16, num_classes=1000, width=32, near=0.5, scale=64.0)
    whole = run(method, batch, torch.float64)
    monkeypatch.setattr(cosines, "CLASSES_PER_BLOCK_CPU", 77)
    torch.testing.assert_close(run(method, batch, torch.float64), whole)
