import math
from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula
from tests.methods.test_golden import R1, R2, R3, R4, build, logits_of


def make(**options: Any) -> Head:
    return methods.create("robustface", num_classes=6, embedding_size=3, scale=16.0, **options)


def thresholds(c: float, m1: float) -> tuple[float, float]:
    """Of hard and noise, at the default margin."""
    noise = math.cos(math.acos(c) + m1) if c <= math.cos(m1) else c - m1 * math.sin(m1)
    return oracle.arc_target(c, 0.5), noise


def formula(m1: float, weight: float, smallest: float) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        hard, noise = thresholds(row[y], m1)
        changed = [max(weight * c, smallest) if c > noise else 1.2 * c if c > hard else c for c in row]
        changed[y] = hard
        return oracle.cross_entropy([16 * c for c in changed], y)

    return row_loss


@pytest.mark.parametrize("m1", [-0.15, -0.6, 0.05])
@pytest.mark.parametrize(("phi", "noise_rate"), [(0.3, 0.0), (0.3, 0.2), (0.9, 0.4)])
def test_formula(m1: float, phi: float, noise_rate: float) -> None:
    for variant, weight, smallest in (
        ("code", (1 - phi / (1 - noise_rate)) ** 2, 0.0),
        ("figure", (1 - phi) ** 2, -math.inf),
    ):
        head = make(noise_rate=noise_rate, variant=variant).double().eval()
        head.get_buffer("m1").fill_(m1)
        head.get_buffer("phi").fill_(phi)
        assert_equals_formula(head, formula(m1, weight, smallest))


@pytest.mark.parametrize(
    ("cosines", "expected", "counts", "phi"),
    [
        (R1, [1.51018, 15.36, 46.08, -19.2], [1, 0, 3], 0.0025),
        (R2, [-76.14162, 12.8, 38.4, 0.0], [0, 3, 1], 0.0),
        (R3, [-24.9129, 15.36, 41.6, 28.8], [0, 2, 2], 0.0),
        (R4, [52.81997, 12.8, 38.4, -19.2], [3, 1, 0], 0.0075),
    ],
)
def test_golden(cosines: tuple[float, ...], expected: list[float], counts: list[int], phi: float) -> None:
    head, embedding = build("robustface", cosines, noise_rate=0.2)
    logits, loss = logits_of(head, embedding, label=0)
    assert logits == pytest.approx(expected, abs=1e-3)
    assert loss == pytest.approx(oracle.cross_entropy(expected, 0), rel=1e-3, abs=1e-6)
    assert head.get_buffer("counts").tolist() == counts
    assert head.get_buffer("phi").item() == pytest.approx(phi, abs=1e-9)


def test_state_over_two_batches() -> None:
    head = make(noise_rate=0.4, rate=0.5).double()
    head.begin_epoch(0, 2)
    m1, phi, counts = -0.15, 0.0, [0, 0, 0]
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        embeddings = torch.randn(7, 3, generator=generator, dtype=torch.float64)
        labels = torch.randint(6, (7,), generator=generator)
        head(embeddings, labels)

        m1 *= 1 - phi / 0.6
        num_hard = num_noise = 0
        for row, y in zip(oracle.cosines(embeddings.numpy(), head.centres.detach().numpy()), labels, strict=True):
            hard, noise = thresholds(row[y], m1)
            num_hard += sum(c > hard for c in row)
            num_noise += sum(c > noise for c in row)
        easy = 42 - num_hard
        counts = [a + b for a, b in zip(counts, [easy, num_noise, num_hard - num_noise], strict=True)]
        phi = 0.5 * easy / 42 + 0.5 * phi
        assert head.get_buffer("m1").item() == pytest.approx(m1, rel=1e-6)
        assert head.get_buffer("phi").item() == pytest.approx(phi, rel=1e-6)
        assert head.get_buffer("counts").tolist() == counts
    assert phi > 0
    head.eval()
    head(embeddings, labels)
    assert head.get_buffer("counts").tolist() == counts
    head.begin_epoch(1, 2)
    assert head.get_buffer("counts").tolist() == [0, 0, 0]


def test_sampled_classes_are_all_there_are() -> None:
    head = methods.create("robustface", num_classes=40, embedding_size=3, sample_rate=0.25)
    head(torch.ones(4, 3), torch.arange(4))
    assert head.get_buffer("counts").sum().item() == 4 * 10


@pytest.mark.parametrize(
    ("option", "value"), [("noise_rate", 1), ("noise_margin", 0.1), ("rate", 0), ("gamma", -1), ("margin", 4)]
)
def test_faulty_options(option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"RobustFace: .*'{option}' is {value}"):
        make(**{option: value})
