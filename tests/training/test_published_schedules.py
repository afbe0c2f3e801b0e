"""Learning rates and margins of every published set-up, step by step, against those worked out by hand.

The tables are those of the authors' code: rates by epoch for step schedules, a formula by step for the others.
"""

from __future__ import annotations

import pytest
import torch

from noisebench import methods
from noisebench.bench.suite import load_suite
from noisebench.training.schedule import Schedule

STEPS_PER_EPOCH = 7
BY_EPOCH = {
    # BoundaryFace on CASIA: epochs 1-5, 6-11, 12-18 and 19-30, as its script counts them.
    "webface-r50": [0.1] * 5 + [0.01] * 6 + [0.001] * 7 + [0.0001] * 12,
    # BoundaryFace on MS1M: epochs 0-9, 10-17, 18-21 and 22-23.
    "ms1m-r50": [0.1] * 10 + [0.01] * 8 + [0.001] * 4 + [0.0001] * 2,
    # AdaFace: tenfold less from epochs 12, 20 and 24 of 26 on.
    "ms1mv2-r50": [0.1] * 12 + [0.01] * 8 + [0.001] * 4 + [0.0001] * 2,
    "ms1mv2-r100": [0.1] * 12 + [0.01] * 8 + [0.001] * 4 + [0.0001] * 2,
}
FIRST_CORRECTING_EPOCH = {"webface-r50": 8 - 1, "ms1m-r50": 11}  # the former is counted from 1 by its source


@pytest.mark.parametrize("suite", BY_EPOCH)
def test_the_rate_of_every_step_of_a_suite(suite: str) -> None:
    training = load_suite(suite).training
    expected = [rate for rate in BY_EPOCH[suite] for _ in range(STEPS_PER_EPOCH)]
    assert training.epochs * STEPS_PER_EPOCH == len(expected)
    found = [
        training.schedule.at(step, steps_per_epoch=STEPS_PER_EPOCH, epochs=training.epochs)
        for step in range(len(expected))
    ]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("power", "warmup_epochs"), [(2, 0), (1, 0), (1, 2)])
def test_polynomial_decay_of_robustface_and_arcface_torch(power: int, warmup_epochs: int) -> None:
    """RobustFace: power 2. arcface_torch: power 1, and with a tenth of its 20 epochs to warm up on WebFace."""
    schedule = Schedule(kind="poly", learning_rate=0.1, power=power, warmup_epochs=warmup_epochs)
    warmup, total = warmup_epochs * STEPS_PER_EPOCH, 20 * STEPS_PER_EPOCH
    for step in range(total):
        if step < warmup:
            expected = 0.1 / (warmup + 1) * (step + 1)
        else:
            left = (total - step) / (total - warmup)
            expected = 0.1 * left * (left if power == 2 else 1.0)
        assert schedule.at(step, steps_per_epoch=STEPS_PER_EPOCH, epochs=20) == pytest.approx(expected)


@pytest.mark.parametrize(("total", "milestones"), [(25, (10, 16, 22)), (20, (8, 12, 15, 18)), (34, (20, 28, 32))])
def test_step_decay_of_adaface_partialfc(total: int, milestones: tuple[int, ...]) -> None:
    """On MS1MV3, on Glint360K, and on CASIA, where ArcFace's paper has the drops at 20 and 28 too."""
    schedule = Schedule(kind="step", learning_rate=0.1, milestones=milestones)
    rate = 0.1
    for epoch in range(total):
        if epoch in milestones:
            rate /= 10
        for step in (0, STEPS_PER_EPOCH - 1):
            at = schedule.at(epoch * STEPS_PER_EPOCH + step, steps_per_epoch=STEPS_PER_EPOCH, epochs=total)
            assert at == pytest.approx(rate)


@pytest.mark.parametrize("suite", FIRST_CORRECTING_EPOCH)
@pytest.mark.parametrize("method", ["boundaryf1", "boundaryface"])
def test_the_epoch_in_which_corrections_begin(suite: str, method: str) -> None:
    chosen = load_suite(suite)
    head = methods.create(method, num_classes=3, embedding_size=4, seed=0, **chosen.methods[method])
    corrects = []
    for epoch in range(chosen.training.epochs):
        head.begin_epoch(epoch, chosen.training.epochs)
        corrects.append(bool(head.corrects))
    first = FIRST_CORRECTING_EPOCH[suite]
    assert corrects == [False] * first + [True] * (chosen.training.epochs - first)


@pytest.mark.parametrize(
    ("options", "freeze", "base", "gamma", "power"),
    [
        ({}, 0, 1000.0, 0.12, 1),  # the authors' and insightface's
        ({"lambda_gamma": 0.06, "lambda_freeze": 20}, 20, 1000.0, 0.06, 1),  # more than 20,000 classes; there 5,000
        ({"normalise": True, "lambda_gamma": 1e-4, "lambda_power": 2.0}, 0, 1000.0, 1e-4, 2),  # SV-X-Softmax
    ],
)
def test_the_margin_of_sphereface_by_batch(
    options: dict[str, float], freeze: int, base: float, gamma: float, power: int
) -> None:
    """The weight of the plain cosine, found from the loss: with two classes at 90 and 180 degrees it sets the target.

    With m = 4 at 60 degrees psi(60) = -cos(240) - 2 = -1.5, so the target is (0.5 lambda - 1.5) / (1 + lambda).
    """
    head = methods.create("sphereface", num_classes=2, embedding_size=2, seed=0, **options)
    half = 3**0.5 / 2
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[0.5, half], [-1.0, 0.0]]))
    embedding, label = torch.tensor([[1.0, 0.0]]), torch.zeros(1, dtype=torch.int64)
    scale = 64.0 if options.get("normalise") else 1.0
    for batch in range(1, 60):
        loss = head(embedding, label, None).loss.item()
        plain = max(5.0, base / (1 + gamma * max(0, batch - freeze)) ** power)
        target, other = scale * (0.5 * plain - 1.5) / (1 + plain), -scale
        expected = torch.tensor([target, other], dtype=torch.float64).logsumexp(0).item() - target
        assert loss == pytest.approx(expected, rel=1e-4, abs=1e-6)
