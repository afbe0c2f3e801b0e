import math
from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy
from tests.methods.test_golden import R1, R2, R3, R4, build, logits_of


def make(**options: Any) -> Head:
    return methods.create("arcface", num_classes=4, embedding_size=3, scale=16.0, **options)


def formula(beyond: float | None) -> RowLoss:
    """Logits of ArcFace without fallback: ``beyond`` 180 degrees the target is this, or rises again."""

    def row_loss(row: list[float], y: int, norm: float) -> float:
        angle = math.acos(row[y]) + 0.5
        target = math.cos(angle) if beyond is None or angle < math.pi else beyond
        return cross_entropy([16 * (target if j == y else c) for j, c in enumerate(row)], y)

    return row_loss


@pytest.mark.parametrize(("variant", "beyond"), [("mxnet", None), ("saturating", -1.0)])
def test_formula(variant: str, beyond: float | None) -> None:
    assert_equals_formula(make(variant=variant), formula(beyond))


@pytest.mark.parametrize(
    ("variant", "cosines", "target"),
    [
        ("mxnet", R1, 1.51018),
        ("mxnet", R2, -62.93785),
        ("mxnet", R3, -24.9129),
        ("mxnet", R4, 52.81997),
        ("saturating", R1, 1.51018),
        ("saturating", R2, -64.0),
        ("saturating", R3, -24.9129),
        ("saturating", R4, 52.81997),
    ],
)
def test_golden(variant: str, cosines: tuple[float, ...], target: float) -> None:
    head, embedding = build("arcface", cosines, variant=variant)
    assert logits_of(head, embedding, label=0)[0][0] == pytest.approx(target, abs=1e-3)


@pytest.mark.parametrize(
    ("variant", "slope"), [("insightface", 1.0), ("mxnet", math.sin(3.6) / math.sin(3.1)), ("saturating", 0.0)]
)
def test_gradient_at_a_label_beyond(variant: str, slope: float) -> None:
    cosine = torch.tensor([math.cos(3.1)], dtype=torch.float64, requires_grad=True)
    make(variant=variant).target(cosine, None).backward()  # type: ignore[operator]
    assert cosine.grad is not None
    assert cosine.grad.item() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("variant", ["insightface", "mxnet", "saturating"])
def test_no_variant_has_an_easy_margin(variant: str) -> None:
    with pytest.raises(UserError, match=rf"ArcFace: easy_margin is true, but variant '{variant}' has no easy margin"):
        make(variant=variant, easy_margin=True)
