import math
from typing import Any

import pytest

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula
from tests.methods.test_golden import R1, R2, R3, R4, build


def make(**options: Any) -> Head:
    head = methods.create("boundaryface", num_classes=5, embedding_size=3, scale=16.0, start_epoch=3, **options)
    head.begin_epoch(3, 10)
    return head


def formula(m: float, balance_weight: float) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        with_margin = [oracle.arc_target(c, m) for c in row]
        best = max((j for j in range(len(row)) if j != y), key=lambda j: row[j])
        if with_margin[best] > max(row[y], 0):
            y = best
        nearest = max(c for j, c in enumerate(row) if j != y)
        penalty = max(0, max(0, nearest) - max(0, with_margin[y]))
        return oracle.cross_entropy([16 * (with_margin[y] if j == y else c) for j, c in enumerate(row)], y) + (
            balance_weight * penalty
        )

    return row_loss


@pytest.mark.parametrize(("m", "balance_weight"), [(0.5, math.pi), (0.3, 40.0), (0.2, 0.0)])
def test_formula(m: float, balance_weight: float) -> None:
    assert_equals_formula(make(margin=m, balance_weight=balance_weight), formula(m, balance_weight))


@pytest.mark.parametrize(
    ("cosines", "label", "penalty"), [(R1, 0, 1.810825), (R2, 2, 0.179042), (R3, 2, 0.766245), (R4, 0, 0.0)]
)
def test_golden(cosines: tuple[float, ...], label: int, penalty: float) -> None:
    found = {}
    for name in ("boundaryface", "boundaryf1"):
        head, embedding = build(name, cosines, start_epoch=0)
        output = head(embedding, head.centres.new_zeros(1).long())
        assert output.rows.used_label.tolist() == [label]
        found[name] = output.loss.item()
    assert found["boundaryface"] - found["boundaryf1"] == pytest.approx(penalty, abs=1e-5)


def test_before_the_start_epoch_it_is_arcface() -> None:
    head, embedding = build("boundaryface", R2, start_epoch=1)
    arcface, _ = build("arcface", R2)
    labels = head.centres.new_zeros(1).long()
    assert head(embedding, labels).loss.item() == arcface(embedding, labels).loss.item()


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"BoundaryFace: .*'balance_weight' is -1"):
        make(balance_weight=-1)
