"""The methods beside their slow formulas, and small batches to compare them on."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from noisebench import methods
from noisebench.heads.head import Head
from tests.heads import oracle

MARGIN = 0.5
T = 0.25
MOST_COSINE = 0.98  # the angle's derivative has a pole at 1
SHORTEST = 0.1  # of a vector: the oracle's differences are too coarse for a shorter one


@dataclass(frozen=True)
class Method:
    name: str
    options: dict[str, Any]
    logits: oracle.Logits

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])

    def build(self, num_classes: int, embedding_size: int, scale: float, **engine: Any) -> Head:
        head = methods.create(
            self.name, num_classes=num_classes, embedding_size=embedding_size, scale=scale, **self.options, **engine
        )
        head.begin_epoch(1, 2)
        if "t" in dict(head.named_buffers()):
            head.eval()  # where state stands still
            head.get_buffer("t").fill_(T)
        return head


METHODS = [
    Method("softmax", {}, oracle.softmax()),
    Method("cosface", {}, oracle.cosface(0.35)),
    Method("cosface", {"margin": 0.1}, oracle.cosface(0.1)),
    Method("arcface", {}, oracle.arcface(MARGIN)),
    Method("arcface", {"margin": 1.2}, oracle.arcface(1.2)),
    Method("arcface", {"easy_margin": True}, oracle.arcface_easy(MARGIN)),
    Method("curricularface", {}, oracle.curricularface(MARGIN, T)),
    Method("boundaryf1", {"start_epoch": 1}, oracle.boundaryf1(MARGIN)),
    Method("boundaryf1", {"start_epoch": 2}, oracle.arcface(MARGIN)),
]


@dataclass(frozen=True)
class Batch:
    x: oracle.Vector
    centres: oracle.Vector
    labels: list[int]
    scale: float

    @property
    def num_sub_centres(self) -> int:
        return self.centres.shape[1] if self.centres.ndim == 3 else 1

    def is_smooth(self, distance: float = 1e-3, filter_threshold: float = 2.0) -> bool:
        """Whether no cosine is so near to a jump, a tie or a pole of any method that rounding decides the outcome."""
        if self.num_sub_centres > 1:
            each = [oracle.cosines(self.x, self.centres[:, k]) for k in range(self.num_sub_centres)]
            first, second = np.sort(np.array(each), axis=0)[[-1, -2]]
            if (first - second).min() < distance:
                return False
        if min(np.linalg.norm(vectors, axis=-1).min() for vectors in (self.x, self.centres)) < SHORTEST:
            return False
        for row, y in zip(oracle.cosines(self.x, self.centres), self.labels, strict=True):
            wrong = sorted(c for j, c in enumerate(row) if j != y)
            edges = [
                wrong[-1] - wrong[-2] if len(wrong) > 1 else 1,
                row[y],
                *(c - filter_threshold for c in row),
                *(row[y] - math.cos(math.pi - margin) for margin in (MARGIN, 1.2)),
                *(c - math.cos(math.pi - MARGIN) for c in wrong),
                *(c - math.cos(math.acos(row[y]) + MARGIN) for c in wrong),
                *(oracle.arc_target(c, MARGIN) - max(row[y], 0) for c in wrong),
            ]
            if min(map(abs, edges)) < distance or max(map(abs, row)) > MOST_COSINE:
                return False
        return True


@st.composite
def batches(
    draw: st.DrawFn, sizes: tuple[int, int], classes: tuple[int, int], widths: tuple[int, int], sub_centres: int = 1
) -> Batch:
    """Random batches of values that float32 holds exactly."""
    return make_batch(
        seed=draw(st.integers(0, 2**32)),
        size=draw(st.integers(*sizes)),
        num_classes=draw(st.integers(*classes)),
        width=draw(st.integers(*widths)),
        near=draw(st.sampled_from([0.0, 0.3, 1.0])),
        scale=draw(st.sampled_from([1.0, 16.0, 64.0])),
        sub_centres=sub_centres,
    )


def make_batch(
    seed: int, size: int, num_classes: int, width: int, near: float, scale: float, sub_centres: int = 1
) -> Batch:
    """A batch whose embeddings are noise and ``near`` times their centre, the first of several."""
    random = np.random.Generator(np.random.Philox(seed))
    centres = random.standard_normal((num_classes, sub_centres, width), np.float32)
    labels = random.integers(num_classes, size=size)
    x = np.float32(near) * centres[labels, 0] + random.standard_normal((size, width), np.float32)
    centres = centres if sub_centres > 1 else centres[:, 0]
    return Batch(x.astype(np.float64), centres.astype(np.float64), labels.tolist(), scale)


def run(method: Method, batch: Batch, dtype: torch.dtype, **engine: Any) -> tuple[float, Tensor, Tensor]:
    """Loss and gradients (embeddings, centres) of the engine, in that precision."""
    head = method.build(len(batch.centres), batch.x.shape[1], batch.scale, **engine).to(dtype)
    with torch.no_grad():
        head.centres.copy_(torch.from_numpy(batch.centres))
    x = torch.from_numpy(batch.x).to(dtype).requires_grad_()
    loss = head(x, torch.tensor(batch.labels)).loss
    loss.backward()
    assert x.grad is not None
    assert head.centres.grad is not None
    return float(loss.detach()), x.grad, head.centres.grad
