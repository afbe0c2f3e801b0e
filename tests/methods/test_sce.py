import math
from typing import Any

import pytest

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula


def make(scale: float = 4.0, **options: Any) -> Head:
    return methods.create("sce", num_classes=4, embedding_size=3, scale=scale, **options)


def formula(
    alpha: float, beta: float, scale: float = 4.0, margin: float = 0.0, epsilon: float = 1e-4, smallest: float = 0.0
) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        row[y] = oracle.arc_target(row[y], margin)
        exponentials = [math.exp(scale * c) for c in row]
        p = [e / sum(exponentials) for e in exponentials]
        reverse = -sum(p_j * math.log(1.0 if j == y else epsilon) for j, p_j in enumerate(p))
        return -alpha * math.log(max(p[y], smallest)) + beta * reverse

    return row_loss


@pytest.mark.parametrize(("alpha", "beta"), [(6.0, 0.1), (0.0, 1.0), (0.1, 1.0)])
def test_formula(alpha: float, beta: float) -> None:
    assert_equals_formula(make(alpha=alpha, beta=beta), formula(alpha, beta))


def test_formula_with_margin_and_epsilon() -> None:
    assert_equals_formula(make(margin=0.4, epsilon=0.01), formula(6.0, 0.1, margin=0.4, epsilon=0.01))


def test_formula_where_the_probability_is_clipped() -> None:
    assert_equals_formula(make(scale=16.0, clip=True), formula(6.0, 0.1, scale=16.0, smallest=1e-7))


def test_the_reverse_cross_entropy_of_a_hopeless_label() -> None:
    head = methods.create("sce", num_classes=2, embedding_size=1, alpha=0).double()
    head.centres.data = head.centres.data.new_tensor([[1.0], [-1.0]])
    loss = head(head.centres.new_tensor([[-1.0]]), head.centres.new_zeros(1).long()).loss
    assert loss.item() == pytest.approx(0.1 * 9.2103, rel=1e-5)


@pytest.mark.parametrize(("option", "value"), [("alpha", -1), ("beta", -1), ("epsilon", 0), ("epsilon", 1)])
def test_faulty_options(option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"SCE: .*'{option}' is {value}"):
        make(**{option: value})
