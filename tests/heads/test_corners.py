"""Where formulas have poles and batches are odd: gradients stay finite, and faults are named."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.angular import add_angle, add_margin
from noisebench.heads.centres import draw_centres
from noisebench.heads.head import Head
from tests.heads.cases import METHODS, Method

EVERY = pytest.mark.parametrize("method", METHODS, ids=str)
ENGINES = pytest.mark.parametrize(
    "engine",
    [{}, {"mode": "chunked", "chunk_size": 2}, {"products": "bfloat16"}, {"filter_threshold": -0.5}],
    ids=["dense", "chunked", "bfloat16", "filter"],
)


def build(method: Method, num_classes: int = 4, embedding_size: int = 3, **engine: Any) -> Head:
    return method.build(num_classes, embedding_size, scale=64.0, **engine)


def gradients(head: Head, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    embeddings = embeddings.clone().requires_grad_()
    loss = head(embeddings, labels).loss
    loss.backward()
    assert embeddings.grad is not None
    assert head.centres.grad is not None
    return loss.detach(), embeddings.grad, head.centres.grad


def assert_finite(head: Head, embeddings: Tensor, labels: Tensor) -> None:
    for tensor in gradients(head, embeddings, labels):
        assert bool(tensor.isfinite().all())


@EVERY
@ENGINES
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cosines_of_exactly_one(method: Method, sign: float, engine: dict[str, Any]) -> None:
    head = build(method, **engine)
    with torch.no_grad():
        head.centres.copy_(torch.eye(3)[[0, 0, 1, 2]])
    assert_finite(head, sign * 5 * torch.eye(3), torch.tensor([0, 2, 3]))


@EVERY
@ENGINES
def test_zero_vectors_have_cosine_zero_and_no_gradient(method: Method, engine: dict[str, Any]) -> None:
    head = build(method, **engine)
    with torch.no_grad():
        head.centres[1] = 0
    embeddings = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    loss, grad_embeddings, grad_centres = gradients(head, embeddings, torch.tensor([0, 1]))
    assert bool(loss.isfinite())
    assert bool(grad_embeddings.isfinite().all())
    assert bool(grad_centres.isfinite().all())
    assert grad_embeddings[0].tolist() == grad_centres[1].tolist() == [0, 0, 0]


@EVERY
@ENGINES
def test_one_sample_two_classes(method: Method, engine: dict[str, Any]) -> None:
    assert_finite(build(method, num_classes=2, **engine), torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([1]))


@EVERY
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_embeddings_that_are_not_finite_show_in_the_loss(method: Method, bad: float) -> None:
    head = build(method)
    assert bool(head(torch.tensor([[1.0, bad, 0.0], [1.0, 0.0, 0.0]]), torch.tensor([0, 1])).loss.isnan())


@EVERY
def test_computes_in_float32_under_autocast(method: Method) -> None:
    embeddings, labels = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    plain = gradients(build(method), embeddings, labels)
    with torch.autocast("cpu", torch.bfloat16):
        cast = gradients(build(method), embeddings, labels)
    torch.testing.assert_close(cast, plain, rtol=0, atol=0)
    assert build(method)(embeddings.bfloat16(), labels).loss.dtype == torch.float32


def test_a_loss_near_zero_keeps_its_digits() -> None:
    head = methods.create("softmax", num_classes=2, embedding_size=2, scale=20.0)
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    loss = head(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).loss
    assert loss.item() == pytest.approx(math.log1p(math.exp(-40)), rel=1e-5)


def test_rows() -> None:
    head = methods.create("softmax", num_classes=3, embedding_size=2)
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]))
    embeddings = torch.tensor([[3.0, 4.0], [0.0, -2.0]], requires_grad=True)
    rows = head(embeddings, torch.tensor([0, 1]), torch.tensor([2, -1])).rows
    torch.testing.assert_close(rows.cosine_label, torch.tensor([0.6, -1.0]))
    torch.testing.assert_close(rows.cosine_true, torch.tensor([-0.6, math.nan]), equal_nan=True)
    torch.testing.assert_close(rows.cosine_nearest, torch.tensor([0.8, 0.0]))
    torch.testing.assert_close(rows.norm, torch.tensor([5.0, 2.0]))
    assert rows.nearest.tolist() == [1, 0]
    assert rows.used_label.tolist() == [0, 1]
    assert not any(tensor.requires_grad for tensor in vars(rows).values())
    assert bool(head(embeddings, torch.tensor([0, 1])).rows.cosine_true.isnan().all())


def test_true_labels_do_not_touch_the_loss() -> None:
    head = build(METHODS[0])
    embeddings, labels = torch.eye(3), torch.tensor([0, 1, 2])
    assert head(embeddings, labels, torch.tensor([3, 3, -1])).loss == head(embeddings, labels).loss


@pytest.mark.parametrize(
    ("shape", "labels", "true_labels", "message"),
    [
        ((2, 4), [0, 1], None, r"embeddings have shape \[2, 4\]: expected \[batch, 3\]"),
        ((0, 3), [], None, r"embeddings have shape \[0, 3\]"),
        ((3,), [0], None, r"embeddings have shape \[3\]"),
        ((2, 3), [0], None, r"labels are int64 of shape \[1\]: expected int64 of shape \[2\]"),
        ((2, 3), [0.0, 1.0], None, r"labels are float32 of shape \[2\]"),
        ((2, 3), [0, 1], [1], r"true_labels are int64 of shape \[1\]"),
        ((2, 3), [0, 4], None, r"label 4 of row 1 is outside the classes 0\.\.3"),
        ((2, 3), [-1, 0], None, r"label -1 of row 0"),
    ],
)
def test_faulty_batch(shape: tuple[int, ...], labels: list[float], true_labels: list[int] | None, message: str) -> None:
    true = None if true_labels is None else torch.tensor(true_labels)
    with pytest.raises(UserError, match=message):
        build(METHODS[0])(torch.ones(shape), torch.tensor(labels), true)


def test_backward_twice_is_an_error() -> None:
    loss = build(METHODS[0])(torch.eye(3), torch.tensor([0, 1, 2])).loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward ran twice"):
        loss.backward()


def test_embeddings_alone_may_need_a_gradient() -> None:
    head = build(METHODS[0])
    head.centres.requires_grad_(False)
    embeddings = torch.eye(3, requires_grad=True)
    head(embeddings, torch.tensor([0, 1, 2])).loss.backward()
    assert embeddings.grad is not None
    assert head.centres.grad is None


@pytest.mark.parametrize("cosine", [-1.0, -0.99, -0.5, 0.0, 0.5, 1.0])
def test_add_angle(cosine: float) -> None:
    found = add_angle(torch.tensor(cosine, dtype=torch.float64), 0.7)
    assert found.item() == pytest.approx(math.cos(math.acos(cosine) + 0.7), abs=1e-6)


def test_add_margin_is_monotone() -> None:
    with_margin = add_margin(torch.linspace(-1, 1, 2001, dtype=torch.float64), 0.5)
    assert bool((with_margin.diff() > 0).all())


def test_centres_depend_on_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    centres = draw_centres(2000, 64, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(centres, draw_centres(2000, 64, seed=3))
    assert not torch.equal(centres, draw_centres(2000, 64, seed=4))
    assert centres.std().item() == pytest.approx(0.01, rel=0.01)
    assert centres.mean().item() == pytest.approx(0, abs=1e-4)
