import math
from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from noisebench.methods.sphereface import multiply_angle
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy


def make(**options: Any) -> Head:
    return methods.create("sphereface", num_classes=4, embedding_size=3, **options)


def psi(theta: float, m: int) -> float:
    k = min(math.floor(m * theta / math.pi), m - 1)
    return math.cos(m * theta) * (1 - 2 * (k % 2)) - 2 * k


def formula(m: int, weight: float, scale: float | None) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        logits = [(norm if scale is None else scale) * c for c in row]
        logits[y] *= (weight * row[y] + psi(math.acos(row[y]), m)) / (1 + weight) / row[y]
        return cross_entropy(logits, y)

    return row_loss


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("normalise", [False, True])
def test_formula(m: int, normalise: bool) -> None:
    head = make(angle_factor=m, normalise=normalise, scale=7.0, lambda_base=5.0).eval()
    assert_equals_formula(head, formula(m, 5.0, 7.0 if normalise else None))


def test_margin_without_annealing() -> None:
    head = make(lambda_base=0.0, lambda_min=0.0)
    assert_equals_formula(head, formula(4, 0.0, None))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_psi_falls_all_the_way_without_a_jump(m: int) -> None:
    theta = torch.linspace(0, math.pi, 5001, dtype=torch.float64)
    values = multiply_angle(theta.cos(), m)
    assert values[0].item() == 1
    assert values[-1].item() == pytest.approx(1 - 2 * m, abs=1e-12)
    assert bool((values.diff() <= 1e-12).all())
    assert values.diff().abs().max().item() < 1.1 * m * math.pi / 5000


def lambdas(head: Head, batches: int) -> list[float]:
    """The weight λ in each of the next batches, from the target the head makes of a cosine of 1/2 (where ψ is -3/2)."""
    found: list[float] = []
    for seed in range(batches):
        head(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)), torch.tensor([0, 1, 2]))
        target = head.target(torch.tensor([0.5], dtype=torch.float64), None).item()  # type: ignore[operator]
        found.append((-1.5 - target) / (target - 0.5))
    return found


def test_lambda_falls_with_the_batches_and_is_resumed() -> None:
    head = make()
    expected = [1000 / (1 + 0.12 * t) for t in (1, 2, 3, 4)]
    assert lambdas(head, 2) == pytest.approx(expected[:2], rel=1e-5)
    resumed = make()
    resumed.load_state_dict(head.state_dict())
    assert lambdas(resumed, 2) == pytest.approx(expected[2:], rel=1e-5)
    resumed.eval()
    assert lambdas(resumed, 2) == pytest.approx([expected[3]] * 2, rel=1e-5)


def test_lambda_of_other_schedules() -> None:
    assert lambdas(make(lambda_freeze=2), 3) == pytest.approx([1000, 1000, 1000 / 1.12], rel=1e-5)
    assert lambdas(make(lambda_gamma=1.0, lambda_power=2.0), 2) == pytest.approx([250, 1000 / 9], rel=1e-5)
    assert lambdas(make(lambda_gamma=1e6), 2) == pytest.approx([5, 5], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"angle_factor": 0}, "'angle_factor' is 0"), ({"angle_factor": 1.5}, "'angle_factor' is 1.5")],
)
def test_faulty_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"SphereFace: .*{message}"):
        make(**options)
