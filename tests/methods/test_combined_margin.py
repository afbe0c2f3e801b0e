import math
from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy
from tests.methods.test_golden import R1, R2, R3, R4, build, logits_of

SETTINGS = [(1.0, 0.3, 0.2), (0.9, 0.4, 0.15), (1.35, 0.0, 0.0), (3.0, 1.0, 0.1)]


def make(**options: Any) -> Head:
    return methods.create("combined_margin", num_classes=4, embedding_size=3, **options)


def formula(m1: float, m2: float, m3: float, *, rising: bool = False) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        angle = m1 * math.acos(row[y]) + m2
        k = 0 if rising else int(angle // math.pi)
        target = (-1) ** k * math.cos(angle) - 2 * k - m3
        return cross_entropy([16 * (target if j == y else c) for j, c in enumerate(row)], y)

    return row_loss


@pytest.mark.parametrize(("m1", "m2", "m3"), SETTINGS)
def test_formula(m1: float, m2: float, m3: float) -> None:
    assert_equals_formula(make(m1=m1, m2=m2, m3=m3, scale=16.0), formula(m1, m2, m3))


@pytest.mark.parametrize(("m1", "m2", "m3"), SETTINGS)
def test_formula_of_insightface(m1: float, m2: float, m3: float) -> None:
    head = make(m1=m1, m2=m2, m3=m3, scale=16.0, variant="insightface")
    assert_equals_formula(head, formula(m1, m2, m3, rising=True))


@pytest.mark.parametrize(
    ("options", "cosines", "target"),
    [
        ({"m1": 1, "m2": 0.5, "m3": 0}, R1, 1.51018),
        ({"m1": 1, "m2": 0.5, "m3": 0}, R3, -24.9129),
        ({"m1": 1, "m2": 0.5, "m3": 0}, R4, 52.81997),
        ({"m1": 1, "m2": 0.5, "m3": 0, "variant": "insightface"}, R2, -62.93785),
        ({"m1": 1, "m2": 0, "m3": 0.35}, R1, 9.6),
        ({"m1": 1, "m2": 0, "m3": 0.35}, R2, -83.2),
    ],
)
def test_golden_vectors_of_arcface_and_cosface(
    options: dict[str, Any], cosines: tuple[float, ...], target: float
) -> None:
    head, embedding = build("combined_margin", cosines, **options)
    assert logits_of(head, embedding, label=0)[0][0] == pytest.approx(target, abs=1e-3)


@pytest.mark.parametrize(("m1", "m2", "m3"), SETTINGS)
def test_the_target_falls_all_the_way(m1: float, m2: float, m3: float) -> None:
    cosines = torch.linspace(1, -1, 5001, dtype=torch.float64)
    target = make(m1=m1, m2=m2, m3=m3).target(cosines, None)  # type: ignore[operator]
    assert bool((target.diff() < 1e-9).all())


@pytest.mark.parametrize("option", ["m1", "m2", "m3"])
def test_faulty_options(option: str) -> None:
    with pytest.raises(UserError, match=rf"CombinedMargin: .*'{option}' is -1"):
        make(**{option: -1})
