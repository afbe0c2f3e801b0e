from typing import Any

import pytest

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from noisebench.methods.recipe import resolve_method
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy
from tests.methods.test_golden import R1, R2, R3, R4, build, logits_of

BOUNDARYFACE = {"emphasis": "fixed", "easy_margin": False, "clamp": True}


def make(**options: Any) -> Head:
    return methods.create("mv_arc", num_classes=4, embedding_size=3, **options)


def formula(m: float, t: float, *, adaptive: bool, easy: bool, clamp: bool) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        target = oracle.arc_target(row[y], m)
        if easy and row[y] <= 0:
            target = row[y]
        changed = [c + t * (1 + (c if adaptive else 0)) if c > target else c for c in row]
        changed[y] = target
        if clamp:
            changed = [min(max(c, -1), 1) for c in changed]
        return cross_entropy([16 * c for c in changed], y)

    return row_loss


@pytest.mark.parametrize("emphasis", ["adaptive", "fixed"])
@pytest.mark.parametrize("easy", [True, False])
@pytest.mark.parametrize("clamp", [True, False])
def test_formula(emphasis: str, easy: bool, clamp: bool) -> None:
    head = make(scale=16.0, margin=0.4, t=0.3, emphasis=emphasis, easy_margin=easy, clamp=clamp)
    assert_equals_formula(head, formula(0.4, 0.3, adaptive=emphasis == "adaptive", easy=easy, clamp=clamp))


@pytest.mark.parametrize(
    ("options", "cosines", "expected"),
    [
        ({}, R1, [1.51018, 28.16, 58.88, -19.2]),
        ({}, R2, [-60.8, 28.16, 58.88, -10.24]),
        ({}, R3, [-24.9129, 28.16, 62.72, 47.36]),
        ({}, R4, [52.81997, 12.8, 38.4, -19.2]),
        (BOUNDARYFACE, R1, [1.51018, 25.6, 51.2, -19.2]),
        (BOUNDARYFACE, R2, [-64.0, 25.6, 51.2, -6.4]),
        (BOUNDARYFACE, R3, [-24.9129, 25.6, 54.4, 41.6]),
        (BOUNDARYFACE, R4, [52.81997, 12.8, 38.4, -19.2]),
        (BOUNDARYFACE, (0.5, 0.2, 0.95, -0.3), [1.51018, 25.6, 64.0, -19.2]),
    ],
)
def test_golden(options: dict[str, Any], cosines: tuple[float, ...], expected: list[float]) -> None:
    head, embedding = build("mv_arc", cosines, **options)
    logits, loss = logits_of(head, embedding, label=0)
    assert logits == pytest.approx(expected, abs=1e-3)
    assert loss == pytest.approx(cross_entropy(expected, 0), rel=1e-3, abs=1e-6)


def test_recipe_of_boundaryface() -> None:
    name, options = resolve_method("mv_arc_boundaryface", common={}, own={})
    assert name == "mv_arc"
    assert options == {**methods.find("mv_arc").resolve({}), **BOUNDARYFACE}


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"MVArc: .*'emphasis' is 'fixd': .*'fixed'"):
        make(emphasis="fixd")
    with pytest.raises(UserError, match=r"MVArc: .*'t' is -0.1"):
        make(t=-0.1)
