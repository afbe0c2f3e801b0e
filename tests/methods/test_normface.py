from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.heads.head import Head
from tests.methods.formula import assert_equals_formula, cross_entropy
from tests.methods.test_golden import R1, build, logits_of


def make(**options: Any) -> Head:
    return methods.create("normface", num_classes=4, embedding_size=3, **options)


@pytest.mark.parametrize("scale", [3.0, 64.0])
def test_formula(scale: float) -> None:
    assert_equals_formula(make(scale=scale), lambda row, y, norm: cross_entropy([scale * c for c in row], y))


def test_logits_and_loss_are_those_of_softmax_at_first() -> None:
    head, embedding = build("normface", R1)
    fixed, _ = build("softmax", R1)
    logits, loss = logits_of(head, embedding, label=0)
    assert logits == pytest.approx([32, 12.8, 38.4, -19.2])
    assert loss == pytest.approx(logits_of(fixed, embedding, label=0)[1], rel=1e-12)


def test_gradient_of_the_scale() -> None:
    """The derivative of the loss by s is the cosine the softmax expects, less that of the label."""
    head, embedding = build("normface", R1, scale=4.0)
    head(embedding, torch.tensor([0])).loss.backward()
    scale = head.get_parameter("learned_scale")
    assert scale.grad is not None
    cosines = torch.tensor(R1, dtype=torch.float64)
    assert float(scale.grad) == pytest.approx(float((4 * cosines).softmax(0) @ cosines) - R1[0], abs=1e-6)


def test_two_steps_of_the_scale() -> None:
    head, embedding = build("normface", R1, scale=4.0)
    optimizer = torch.optim.SGD([head.get_parameter("learned_scale")], lr=10.0)
    expected = torch.tensor(4.0, dtype=torch.float64)
    cosines = torch.tensor(R1, dtype=torch.float64)
    for _ in range(2):
        optimizer.zero_grad()
        head(embedding, torch.tensor([0])).loss.backward()
        optimizer.step()
        expected = expected - 10 * ((expected * cosines).softmax(0) @ cosines - cosines[0])
        assert head.get_parameter("learned_scale").item() == pytest.approx(expected.item(), rel=1e-6)
    assert head.state_dict()["learned_scale"].item() == pytest.approx(expected.item(), rel=1e-6)
