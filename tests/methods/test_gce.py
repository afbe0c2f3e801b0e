import math
from typing import Any

import pytest

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula


def make(**options: Any) -> Head:
    head = methods.create("gce", num_classes=4, embedding_size=3, scale=4.0, warmup_epochs=2, **options)
    head.begin_epoch(2, 10)
    return head


def formula(q: float, k: float = 0.0, margin: float = 0.0) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        row[y] = oracle.arc_target(row[y], margin)
        exponentials = [math.exp(4 * c) for c in row]
        p = exponentials[y] / sum(exponentials)
        return float(1 - max(p, k) ** q) / q

    return row_loss


@pytest.mark.parametrize("q", [0.01, 0.7, 1.0])
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_formula(q: float, margin: float) -> None:
    assert_equals_formula(make(q=q, margin=margin), formula(q, margin=margin))


def test_formula_where_truncated() -> None:
    assert_equals_formula(make(truncation=0.5), formula(0.7, k=0.5))


def test_improbable_labels_keep_their_digits() -> None:
    head = methods.create("gce", num_classes=2, embedding_size=1, scale=64.0, q=0.01, warmup_epochs=0).double()
    head.centres.data = head.centres.data.new_tensor([[1.0], [-1.0]])
    loss = head(head.centres.new_tensor([[-1.0]]), head.centres.new_zeros(1).long()).loss
    assert loss.item() == pytest.approx((1 - math.exp(-128 * 0.01)) / 0.01, rel=1e-9)


@pytest.mark.parametrize(
    ("warmup_epochs", "num_epochs", "first"), [(None, 12, 4), (None, 4, 2), (None, 1, 1), (0, 5, 0), (3, 5, 3)]
)
def test_cross_entropy_comes_first(warmup_epochs: int | None, num_epochs: int, first: int) -> None:
    head = methods.create("gce", num_classes=4, embedding_size=3, warmup_epochs=warmup_epochs)
    softmax = methods.create("softmax", num_classes=4, embedding_size=3)
    embeddings, labels = head.centres.new_ones(2, 3), head.centres.new_zeros(2).long()
    warms_up = []
    for epoch in range(num_epochs):
        head.begin_epoch(epoch, num_epochs)
        warms_up.append(head(embeddings, labels).loss.item() == softmax(embeddings, labels).loss.item())
    assert warms_up == [True] * first + [False] * (num_epochs - first)


@pytest.mark.parametrize(("option", "value"), [("q", 0), ("q", 1.5), ("truncation", 1), ("warmup_epochs", -1)])
def test_faulty_options(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"GCE: .*'{option}' is {value}"):
        methods.create("gce", num_classes=4, embedding_size=3, **{option: value})
