"""The methods once more, slowly: one sample at a time, in plain Python numbers, gradients by finite differences."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Logits = Callable[[list[float], int], tuple[list[float], int]]
"""From one row of cosines and its label to unscaled logits and the label to use."""


def arc_target(c: float, m: float) -> float:
    theta = math.acos(c)
    return math.cos(theta + m) if theta + m < math.pi else c - m * math.sin(m)


def softmax() -> Logits:
    return lambda row, y: (list(row), y)


def cosface(m: float) -> Logits:
    return lambda row, y: ([c - m if j == y else c for j, c in enumerate(row)], y)


def arcface(m: float) -> Logits:
    return lambda row, y: ([arc_target(c, m) if j == y else c for j, c in enumerate(row)], y)


def arcface_easy(m: float) -> Logits:
    def logits(row: list[float], y: int) -> tuple[list[float], int]:
        changed = list(row)
        if row[y] > 0:
            changed[y] = math.cos(math.acos(row[y]) + m)
        return changed, y

    return logits


def curricularface(m: float, t: float) -> Logits:
    def logits(row: list[float], y: int) -> tuple[list[float], int]:
        edge = math.cos(math.acos(row[y]) + m)
        changed = [c * (t + c) if c > edge else c for c in row]
        changed[y] = arc_target(row[y], m)
        return changed, y

    return logits


def boundaryf1(m: float) -> Logits:
    def logits(row: list[float], y: int) -> tuple[list[float], int]:
        with_margin = [arc_target(c, m) if j != y else 0.0 for j, c in enumerate(row)]
        if max(with_margin) - max(row[y], 0.0) > 0:
            y = with_margin.index(max(with_margin))
        return arcface(m)(row, y)

    return logits


def cosines(x: Vector, centres: Vector) -> list[list[float]]:
    """Of embeddings [B, D] to classes [C, D]; to the nearest of K centres, [C, K, D]."""
    sub_centres = centres if centres.ndim == 3 else centres[:, None]
    return [[max(cosine(a, w) for w in ws) for ws in sub_centres] for a in x]


def cosine(a: Vector, b: Vector) -> float:
    lengths = math.sqrt(np.dot(a, a)) * math.sqrt(np.dot(b, b))
    return min(1.0, max(-1.0, float(np.dot(a, b)) / lengths)) if lengths else 0.0


def cross_entropy(logits: Sequence[float], y: int, takes_part: Sequence[bool] | None = None) -> float:
    rest = [z - logits[y] for j, z in enumerate(logits) if j != y and (takes_part is None or takes_part[j])]
    top = max([*rest, 0.0])
    return top + math.log(math.exp(-top) + sum(math.exp(z - top) for z in rest))


def loss(
    x: Vector,
    centres: Vector,
    labels: Sequence[int],
    method: Logits,
    scale: float,
    filter_threshold: float = math.inf,
) -> float:
    losses = []
    for row, y in zip(cosines(x, centres), labels, strict=True):
        logits, used = method(row, y)
        losses.append(cross_entropy([scale * z for z in logits], used, [c <= filter_threshold for c in row]))
    return sum(losses) / len(losses)


def gradient(function: Callable[[Vector], float], at: Vector, step: float = 1e-4) -> Vector:
    """Central differences of fourth order."""
    result = np.empty_like(at)
    for index in np.ndindex(*at.shape):
        values = []
        for offset in (-2, -1, 1, 2):
            moved = at.copy()
            moved[index] += offset * step
            values.append(function(moved))
        result[index] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return result
