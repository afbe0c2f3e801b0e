from typing import Any

import pytest

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy
from tests.methods.test_golden import R1, R2, R3, R4, build, logits_of


def make(**options: Any) -> Head:
    return methods.create("mv_am", num_classes=4, embedding_size=3, **options)


def formula(m: float, t: float, *, adaptive: bool, easy: bool) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        target = row[y] if easy and row[y] <= 0 else row[y] - m
        changed = [c + t * (1 + (c if adaptive else 0)) if c > target else c for c in row]
        changed[y] = target
        return cross_entropy([16 * c for c in changed], y)

    return row_loss


@pytest.mark.parametrize("emphasis", ["adaptive", "fixed"])
@pytest.mark.parametrize("easy", [True, False])
def test_formula(emphasis: str, easy: bool) -> None:
    head = make(scale=16.0, margin=0.25, t=0.3, emphasis=emphasis, easy_margin=easy)
    assert_equals_formula(head, formula(0.25, 0.3, adaptive=emphasis == "adaptive", easy=easy))


@pytest.mark.parametrize(
    ("cosines", "expected"),
    [
        (R1, [9.6, 28.16, 58.88, -19.2]),
        (R2, [-60.8, 28.16, 58.88, -10.24]),
        (R3, [-16, 28.16, 62.72, 47.36]),
        (R4, [41.28, 12.8, 38.4, -19.2]),
    ],
)
def test_golden(cosines: tuple[float, ...], expected: list[float]) -> None:
    head, embedding = build("mv_am", cosines)
    logits, loss = logits_of(head, embedding, label=0)
    assert logits == pytest.approx(expected, abs=1e-3)
    assert loss == pytest.approx(cross_entropy(expected, 0), rel=1e-3, abs=1e-6)


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"MVAM: .*'margin' is 2: "):
        make(margin=2)
