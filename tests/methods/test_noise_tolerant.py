import math
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle

SIZE = 400  # samples in a batch


def make(**options: Any) -> Head:
    head = methods.create("noise_tolerant", num_classes=2, embedding_size=2, scale=8.0, **options).double()
    head.centres.data = torch.eye(2, dtype=torch.float64)
    return head


def samples(cosines: list[float]) -> tuple[Tensor, Tensor]:
    """Embeddings of class 0 with these cosines to its centre."""
    values = torch.tensor(cosines, dtype=torch.float64)
    return torch.stack([values, (1 - values**2).sqrt()], dim=1), torch.zeros(len(cosines), dtype=torch.int64)


def draw(seed: int, clean: float, noise: float, noise_rate: float = 0.3) -> list[float]:
    """Cosines around that of clean and that of noisy samples."""
    random = np.random.Generator(np.random.Philox(seed))
    centre = np.where(random.random(SIZE) < noise_rate, noise, clean)
    cosines: list[float] = np.clip(random.normal(centre, 0.08), -1, 1).tolist()
    return cosines


class Slow:
    """The markers and weights of batch after batch, with lists and loops."""

    def __init__(self, window: int) -> None:
        self.batches: deque[list[int]] = deque(maxlen=window)
        self.markers: list[int] | None = None
        self.skips = False
        self.noise_ratio = 0.0

    def step(self, cosines: list[float]) -> None:
        self.batches.append([int((c + 1) * 100) for c in cosines])
        if len(self.batches) < (self.batches.maxlen or 0):
            return
        counts = [sum(batch.count(b) for batch in self.batches) for b in range(201)]
        f = [sum(counts[b - 2 : b + 3]) if 2 <= b <= 198 else 0 for b in range(201)]
        distribution = [sum(f[: b + 1]) / sum(f) for b in range(201)]
        left = next(b for b in range(201) if distribution[b] >= 0.005)
        right = max(b for b in range(201) if distribution[b] <= 0.995)
        self.skips = left >= right
        if self.skips:
            return
        middle, top = (left + right) // 2, f.index(max(f))
        tops = [b for b in range(max(left, 5), min(right, 195) + 1) if self._is_top(f, b)] or [top]
        lt, rt = (top, max(tops[-1], middle)) if top < middle else (min(tops[0], middle), top)
        found = [left, lt, rt, right]
        if self.markers is None:
            self.markers = found
        else:
            self.markers = [a + (b > a) - (b < a) for a, b in zip(self.markers, found, strict=True)]
        self.noise_ratio = 2 * distribution[self.markers[1]] if self.markers[1] < middle else 0

    @staticmethod
    def _is_top(f: list[int], b: int) -> bool:
        strictly = all(f[b] > f[b + side * d] + 5 * max(0, d - 2) for d in range(2, 6) for side in (-1, 1))
        return strictly and f[b] >= f[b - 1] and f[b] >= f[b + 1]

    def weight(self, c: float) -> float:
        if self.skips or self.markers is None:
            return 0.0 if self.skips else 1.0
        b, (left, lt, rt, right) = int((c + 1) * 100), self.markers
        w2 = math.log(1 + math.exp(10 * (b - lt) / (right - lt))) / math.log(1 + math.exp(10))
        sigma = (right - rt if b > rt else rt - left) / 2.576
        w3 = math.exp(-((b - rt) ** 2) / (2 * sigma**2))
        alpha = min(max(right / 100 - 1, 0), 1)
        beta = 2 - 1 / (1 + math.exp(5 - 20 * alpha)) - 1 / (1 + math.exp(20 * alpha - 15))
        return beta * (alpha < 0.5) + (1 - beta) * min(max(w2, 0), 1) + beta * (alpha > 0.5) * w3


def slow_loss(slow: Slow, cosines: list[float], applied_to: str) -> float:
    losses = []
    for c in cosines:
        w = slow.weight(c)
        on_loss, on_logits = (w, 1.0) if applied_to == "loss" else (1.0, w)
        logits = [oracle.arc_target(c, 0.5), math.sqrt(1 - c * c)]
        losses.append(on_loss * oracle.cross_entropy([on_logits * 8 * z for z in logits], 0))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("applied_to", ["loss", "logits"])
@pytest.mark.parametrize(
    ("clean", "noise"),
    [(0.1, 0.0), (0.4, 0.05), (0.6, 0.1), (0.9, 0.1), (0.2, 0.7), (0.05, -0.5)],
)
def test_weights_and_state_over_batches(clean: float, noise: float, applied_to: str) -> None:
    head, slow = make(window=3, applied_to=applied_to), Slow(window=3)
    for seed in range(6):
        cosines = draw(seed, clean + 0.05 * seed if seed > 3 and clean < 0.8 else clean, noise)
        loss = head(*samples(cosines)).loss
        slow.step(cosines)
        assert loss.item() == pytest.approx(slow_loss(slow, cosines, applied_to), rel=1e-6)
        assert head.get_buffer("markers").tolist() == (slow.markers or [-1] * 4)
        assert head.get_buffer("noise_ratio").item() == pytest.approx(slow.noise_ratio, abs=1e-6)
    assert slow.markers is not None


@pytest.mark.parametrize("applied_to", ["loss", "logits"])
def test_gradients(applied_to: str) -> None:
    """No gradient goes through the weights."""
    head, slow = make(window=1, applied_to=applied_to), Slow(window=1)
    cosines = draw(7, 0.6, 0.0)
    x, labels = samples(cosines)
    embeddings = x.requires_grad_()
    head(embeddings, labels).loss.backward()
    slow.step(cosines)
    assert embeddings.grad is not None
    for i in (0, 17, 101):
        w = slow.weight(cosines[i])
        on_loss, on_logits = (w, 1.0) if applied_to == "loss" else (1.0, w)

        def loss(row: oracle.Vector, on_loss: float = on_loss, on_logits: float = on_logits) -> float:
            c = oracle.cosines(row[None], np.eye(2))[0]
            logits = [on_logits * 8 * z for z in (oracle.arc_target(c[0], 0.5), c[1])]
            return on_loss * oracle.cross_entropy(logits, 0) / SIZE

        expected = oracle.gradient(loss, x[i].detach().numpy())
        np.testing.assert_allclose(embeddings.grad[i], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("applied_to", ["loss", "logits"])
def test_a_distribution_of_one_bin_teaches_nothing(applied_to: str) -> None:
    head = make(window=1, applied_to=applied_to)
    x, labels = samples([-1.0] * 3)
    embeddings = x.requires_grad_()
    head(embeddings, labels).loss.backward()
    assert embeddings.grad is not None
    assert not embeddings.grad.any()
    assert head.get_buffer("markers").tolist() == [-1] * 4


def test_noise_is_weighted_down_and_its_ratio_found() -> None:
    head, slow = make(window=10), Slow(window=10)
    for seed in range(10):
        cosines = draw(seed, clean=0.7, noise=0.05, noise_rate=0.3)
        head(*samples(cosines))
        slow.step(cosines)
    assert slow.weight(0.05) < 0.2 < 0.5 < slow.weight(0.7)
    assert head.get_buffer("noise_ratio").item() == pytest.approx(0.3, abs=0.05)


def test_outside_of_training_it_is_arcface() -> None:
    head = make(window=1)
    cosines = draw(0, 0.5, 0.0)
    head(*samples(cosines))
    before = {name: buffer.clone() for name, buffer in head.named_buffers()}
    loss = head.eval()(*samples(cosines)).loss.item()
    assert loss == pytest.approx(slow_loss(Slow(window=2), cosines, "loss"), rel=1e-9)
    assert all(torch.equal(buffer, before[name]) for name, buffer in head.named_buffers())


@pytest.mark.parametrize(("option", "value"), [("window", 0), ("applied_to", "'los'")])
def test_faulty_options(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"NoiseTolerant: .*'{option}' is {value}"):
        make(**{option: value.strip("'") if isinstance(value, str) else value})
