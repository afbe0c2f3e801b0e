"""A method beside its slow formula: the loss of one sample, in plain Python numbers, written anew in each test."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from noisebench.heads.head import Head
from tests.heads import oracle

RowLoss = Callable[[list[float], int, float], float]
"""From the cosines of a sample to all (sub-)centres, its label and its norm to its loss."""

BATCH_SIZE = 4

NEAR = (-3.0, 0.0, 0.3, 3.0)
"""How far embeddings lean to the centre of their label: away from it, not at all, a little, almost upon it."""


def assert_equals_formula(
    head: Head, row_loss: RowLoss, *, norms: tuple[float, float] = (1.0, 5.0), detached_norm: bool = False
) -> None:
    """Loss and gradients (embeddings, and so norms; centres) of a float64 head against those of a formula.

    Args:
        head: It is left in float64.
        row_loss: The formula.
        norms: Between which norms are drawn.
        detached_norm: Whether no gradient goes through the norm, so that it stands still in the finite differences.
    """
    head.double()
    for seed, near in enumerate(NEAR):
        x, centres, labels = _batch(head, seed, near, norms)
        with torch.no_grad():
            head.centres.copy_(torch.from_numpy(centres))
        embeddings = torch.from_numpy(x).requires_grad_()
        head.zero_grad()
        loss = head(embeddings, torch.tensor(labels)).loss
        loss.backward()
        assert embeddings.grad is not None
        assert head.centres.grad is not None

        slow = partial(_slow, row_loss, labels, _norms(x) if detached_norm else None)
        assert loss.item() == pytest.approx(slow(x, centres), rel=1e-9)
        for found, expected in (
            (embeddings.grad, oracle.gradient(partial(slow, centres=centres), x)),
            (head.centres.grad, oracle.gradient(partial(slow, x), centres)),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max() + 1e-9)


def cross_entropy(logits: list[float], y: int) -> float:
    """Of one sample, all classes taking part."""
    return oracle.cross_entropy(logits, y, [True] * len(logits))


def _slow(
    row_loss: RowLoss, labels: list[int], norms: oracle.Vector | None, x: oracle.Vector, centres: oracle.Vector
) -> float:
    """The mean of the rows' losses; ``norms`` in place of the embeddings' own."""
    rows = oracle.cosines(x, centres.reshape(-1, centres.shape[-1]))
    norms = _norms(x) if norms is None else norms
    return float(np.mean([row_loss(*row) for row in zip(rows, labels, norms.tolist(), strict=True)]))


def _norms(x: oracle.Vector) -> oracle.Vector:
    return np.asarray(np.linalg.norm(x, axis=1))


def _batch(
    head: Head, seed: int, near: float, norms: tuple[float, float]
) -> tuple[oracle.Vector, oracle.Vector, list[int]]:
    """Embeddings, centres and labels."""
    random = np.random.Generator(np.random.Philox(seed))
    centres = random.standard_normal(tuple(head.centres.shape))
    labels = random.integers(len(centres), size=BATCH_SIZE)
    leaning_to = centres[labels].reshape(BATCH_SIZE, -1, centres.shape[-1])[:, 0]
    x = near * leaning_to + random.standard_normal(leaning_to.shape)
    x *= (random.uniform(*norms, size=BATCH_SIZE) / np.linalg.norm(x, axis=1))[:, None]
    return x, centres, labels.tolist()
