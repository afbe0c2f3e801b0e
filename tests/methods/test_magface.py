from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy


def make(**options: Any) -> Head:
    return methods.create("magface", num_classes=4, embedding_size=3, **options)


def formula(*, easy: bool) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        a = min(max(norm, 10), 110)
        m = 0.45 + 0.35 * (a - 10) / 100
        target = oracle.arc_target(row[y], m)
        if easy and row[y] <= 0:
            target = row[y]
        logits = [16 * (target if j == y else c) for j, c in enumerate(row)]
        return cross_entropy(logits, y) + 35 * (a / 110**2 + 1 / a)

    return row_loss


@pytest.mark.parametrize("easy", [True, False])
@pytest.mark.parametrize("norms", [(1.0, 9.0), (11.0, 109.0), (111.0, 150.0)])
def test_formula(easy: bool, norms: tuple[float, float]) -> None:
    assert_equals_formula(make(scale=16.0, easy_margin=easy), formula(easy=easy), norms=norms)


@pytest.mark.parametrize(("norm", "slope"), [(5.0, 0.0), (50.0, 35 * (1 / 110**2 - 1 / 50**2)), (200.0, 0.0)])
def test_penalty_drives_norms_up_within_the_limits(norm: float, slope: float) -> None:
    norms = torch.tensor([norm], dtype=torch.float64, requires_grad=True)
    make().penalty(norms).sum().backward()  # type: ignore[operator]
    assert norms.grad is not None
    assert norms.grad.item() == pytest.approx(slope, rel=1e-9)


def test_the_default_weight_is_above_the_bound_of_the_paper() -> None:
    bound = 64 * (0.35 / 100) * 110**2 * 10**2 / (110**2 - 10**2)
    defaults = methods.find("magface").resolve({})
    assert bound == pytest.approx(22.59, abs=0.01)
    assert defaults["penalty_weight"] > bound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lower_norm": 120}, "lower_norm is 120.0, but upper_norm is 110.0"),
        ({"upper_norm": 10}, "lower_norm is 10.0, but upper_norm is 10.0"),
        ({"lower_margin": 0.9}, "lower_margin is 0.9, but upper_margin is 0.8"),
        ({"penalty_weight": -1}, "'penalty_weight' is -1"),
    ],
)
def test_faulty_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"MagFace: .*{message}"):
        make(**options)
