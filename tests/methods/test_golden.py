"""Golden vectors: logits of one sample with four classes, computed by the reference implementations (scale 64)."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from noisebench import methods
from noisebench.heads.head import Head

R1 = (0.5, 0.2, 0.6, -0.3)
R2 = (-0.95, 0.2, 0.6, -0.3)
R3 = (0.1, 0.2, 0.65, 0.45)
R4 = (0.995, 0.2, 0.6, -0.3)


def build(method: str, cosines: tuple[float, ...], **options: Any) -> tuple[Head, Tensor]:
    """A head and an embedding [1, 2] whose cosines to the classes are those given."""
    head = methods.create(method, num_classes=len(cosines), embedding_size=2, **options).double()
    centres = [(length * c, length * math.sqrt(1 - c * c)) for length, c in enumerate(cosines, start=1)]
    with torch.no_grad():
        head.centres.copy_(torch.tensor(centres))
    head.begin_epoch(0, 1)
    return head, torch.tensor([[3.0, 0.0]], dtype=torch.float64)


def logits_of(head: Head, embedding: Tensor, label: int) -> tuple[list[float], float]:
    """The logits [C] by the method's formulas, and the loss the engine made of them."""
    output = head(embedding, torch.tensor([label]))
    units = torch.nn.functional.normalize(head.centres, dim=1)
    cosines = torch.nn.functional.normalize(embedding, dim=1) @ units.T
    used = int(output.rows.used_label)
    logits = head.others(cosines, cosines[:, [used]], output.rows).clone()  # type: ignore[operator]
    logits[0, used] = head.target(cosines[:, used], output.rows)  # type: ignore[operator]
    return (head.options.scale * logits[0]).tolist(), float(output.loss.detach())  # type: ignore[attr-defined]


GOLDEN: list[tuple[str, dict[str, Any], tuple[float, ...], list[float]]] = [
    ("softmax", {}, R1, [32, 12.8, 38.4, -19.2]),
    ("cosface", {}, R1, [9.6, 12.8, 38.4, -19.2]),
    ("cosface", {}, R2, [-83.2, 12.8, 38.4, -19.2]),
    ("cosface", {}, R3, [-16, 12.8, 41.6, 28.8]),
    ("cosface", {}, R4, [41.28, 12.8, 38.4, -19.2]),
    ("arcface", {}, R1, [1.51018, 12.8, 38.4, -19.2]),
    ("arcface", {}, R2, [-76.14162, 12.8, 38.4, -19.2]),
    ("arcface", {}, R3, [-24.9129, 12.8, 41.6, 28.8]),
    ("arcface", {}, R4, [52.81997, 12.8, 38.4, -19.2]),
    ("arcface", {"variant": "insightface"}, R1, [1.51018, 12.8, 38.4, -19.2]),
    ("arcface", {"variant": "insightface"}, R2, [-62.93785, 12.8, 38.4, -19.2]),
    ("arcface", {"variant": "insightface"}, R3, [-24.9129, 12.8, 41.6, 28.8]),
    ("arcface", {"easy_margin": True}, R1, [1.51018, 12.8, 38.4, -19.2]),
    ("arcface", {"easy_margin": True}, R2, [-60.8, 12.8, 38.4, -19.2]),
    ("boundaryf1", {"start_epoch": 0}, R1, [1.51018, 12.8, 38.4, -19.2]),
    ("boundaryf1", {"start_epoch": 0}, R2, [-60.8, 12.8, 9.15258, -19.2]),
    ("boundaryf1", {"start_epoch": 0}, R3, [6.4, 12.8, 13.1902, 28.8]),
    ("boundaryf1", {"start_epoch": 0}, R4, [52.81997, 12.8, 38.4, -19.2]),
    ("boundaryf1", {"start_epoch": 1}, R2, [-76.14162, 12.8, 38.4, -19.2]),
]
CURRICULAR = [
    (R1, [1.51018, 3.8912, 27.0336, -19.2], 0.10400),
    (R2, [-76.14162, 3.7056, 26.4768, 4.0416], 0.08950),
    (R3, [-24.9129, 3.84, 31.2, 15.84], 0.1),
    (R4, [52.81997, 12.8, 38.4, -19.2], 0.10895),
]


@pytest.mark.parametrize(("method", "options", "cosines", "expected"), GOLDEN)
def test_logits(method: str, options: dict[str, Any], cosines: tuple[float, ...], expected: list[float]) -> None:
    head, embedding = build(method, cosines, **options)
    logits, loss = logits_of(head, embedding, label=0)
    assert logits == pytest.approx(expected, abs=1e-3)
    used = 2 if method == "boundaryf1" and cosines in (R2, R3) and options["start_epoch"] == 0 else 0
    assert loss == pytest.approx(math.log(sum(math.exp(z - expected[used]) for z in expected)), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("cosines", "expected", "t"), CURRICULAR)
def test_curricularface(cosines: tuple[float, ...], expected: list[float], t: float) -> None:
    head, embedding = build("curricularface", cosines)
    state = head.get_buffer("t")
    state.fill_(0.1)
    logits, loss = logits_of(head, embedding, label=0)
    assert logits == pytest.approx(expected, abs=1e-3)
    assert loss == pytest.approx(math.log(sum(math.exp(z - expected[0]) for z in expected)), rel=1e-3)
    assert float(state) == pytest.approx(t, abs=1e-5)
    assert state.data_ptr() == head.get_buffer("t").data_ptr()


def test_gradient_at_the_label_of_both_arcfaces() -> None:
    for options, slope in (({}, 1.1544), ({"variant": "insightface"}, 1.0)):
        head, _ = build("arcface", R1, **options)
        cosine = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        head.target(cosine, None).backward()  # type: ignore[operator]
        assert cosine.grad is not None
        assert float(cosine.grad) == pytest.approx(slope, abs=1e-4)
