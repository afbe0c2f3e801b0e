import math
import statistics
from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy
from tests.methods.test_golden import R1, R2, R3, R4, build


def make(**options: Any) -> Head:
    return methods.create("adaface", num_classes=4, embedding_size=3, **options)


def formula(m: float, h: float, mean: float, std: float, limit: float = 1.0) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        row = [min(max(c, -limit), limit) for c in row]
        n = min(max(norm, 0.001), 100)
        q = min(max(h * (n - mean) / (std + 0.001), -1), 1)
        angle = min(max(math.acos(row[y]) - m * q, 0.001), math.pi - 0.001)
        row[y] = math.cos(angle) - m - m * q
        return cross_entropy([16 * c for c in row], y)

    return row_loss


@pytest.mark.parametrize("norms", [(1.0, 5.0), (10.0, 30.0), (90.0, 150.0)])
def test_formula(norms: tuple[float, float]) -> None:
    head = make(scale=16.0, margin=0.3, h=0.5).eval()
    head.get_buffer("mean").fill_(21.0)
    head.get_buffer("std").fill_(6.0)
    assert_equals_formula(head, formula(0.3, 0.5, 21.0, 6.0), norms=norms, detached_norm=True)


def test_formula_of_the_official_code() -> None:
    head = make(scale=16.0, variant="official").eval()
    assert_equals_formula(head, formula(0.4, 0.333, 20.0, 100.0, limit=0.999), norms=(1.0, 50.0), detached_norm=True)


@pytest.mark.parametrize(
    ("cosines", "targets"),
    [
        (R1, (6.51233, 6.28189)),
        (R2, (-85.80315, -86.98589)),
        (R3, (-19.19624, -19.20491)),
        (R4, (38.84823, 37.30027)),
    ],
)
def test_golden(cosines: tuple[float, ...], targets: tuple[float, float]) -> None:
    head, _ = build("adaface", cosines)
    embeddings = torch.tensor([[10.0, 0.0], [30.0, 0.0]], dtype=torch.float64)
    loss = head(embeddings, torch.tensor([0, 0])).loss.item()
    expected = [cross_entropy([target, *(64 * c for c in cosines[1:])], 0) for target in targets]
    assert loss == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert head.get_buffer("mean").item() == pytest.approx(20.0, abs=1e-3)
    assert head.get_buffer("std").item() == pytest.approx(99.14142, abs=1e-3)


def test_mean_and_std_follow_the_norms() -> None:
    head, (mean, std) = make(rate=0.25), (20.0, 100.0)
    for norms in ([3.0, 500.0, 8.0], [1.0, 7.0, 0.0]):
        head(torch.tensor([[0.0, 0.0, norm] for norm in norms]), torch.tensor([0, 1, 2]))
        clipped = [min(max(norm, 0.001), 100) for norm in norms]
        mean = 0.25 * statistics.mean(clipped) + 0.75 * mean
        std = 0.25 * statistics.stdev(clipped) + 0.75 * std
        assert head.get_buffer("mean").item() == pytest.approx(mean, rel=1e-6)
        assert head.get_buffer("std").item() == pytest.approx(std, rel=1e-6)
    head.eval()
    head(torch.ones(2, 3), torch.tensor([0, 1]))
    assert head.get_buffer("mean").item() == pytest.approx(mean, rel=1e-6)


def test_a_batch_of_one_leaves_the_standard_deviation() -> None:
    head = make(rate=1.0)
    head(torch.tensor([[3.0, 0.0, 4.0]]), torch.tensor([0]))
    assert (head.get_buffer("mean").item(), head.get_buffer("std").item()) == (5.0, 100.0)


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"AdaFace: .*'rate' is 0"):
        make(rate=0)
    with pytest.raises(UserError, match=r"AdaFace: .*'variant' is 'oficial': .*'official'"):
        make(variant="oficial")
