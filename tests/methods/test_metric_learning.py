"""Losses and gradients beside those of pytorch-metric-learning, an implementation by others.

Its conventions differ: class centres are the columns of a matrix W, [D, C], where K sub-centres of a class follow each
other; ArcFace's margin is in degrees; a softmax has a temperature, 1 / scale; SphereFace has no annealing; the mean
over triplets leaves out those that cost nothing unless it is told not to, and their distances are squared where a power
says so. Both sides compute in float64.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import (
    ArcFaceLoss,
    CosFaceLoss,
    NormalizedSoftmaxLoss,
    SphereFaceLoss,
    SubCenterArcFaceLoss,
    TripletMarginLoss,
)
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from noisebench import methods
from noisebench.heads.head import Head
from noisebench.methods._triplets import TripletHead

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # scipy.special on tensors

NUM_CLASSES, SIZE, BATCH_SIZE = 7, 5, 16

SOFTMAXES: list[tuple[str, dict[str, Any], type[torch.nn.Module], dict[str, Any]]] = [
    ("softmax", {"scale": 16.0}, NormalizedSoftmaxLoss, {"temperature": 1 / 16}),
    ("cosface", {"scale": 30.0, "margin": 0.4}, CosFaceLoss, {"scale": 30, "margin": 0.4}),
    ("arcface", {"scale": 64.0, "margin": 0.5}, ArcFaceLoss, {"scale": 64, "margin": math.degrees(0.5)}),
    ("arcface", {"scale": 16.0, "margin": 1.2}, ArcFaceLoss, {"scale": 16, "margin": math.degrees(1.2)}),
    (
        "subcenter_arcface",
        {"scale": 32.0, "margin": 0.5, "sub_centres": 3},
        SubCenterArcFaceLoss,
        {"scale": 32, "margin": math.degrees(0.5), "sub_centers": 3},
    ),
    *(
        (
            "sphereface",
            {"angle_factor": factor, "normalise": False, "lambda_base": 0.0, "lambda_min": 0.0},
            SphereFaceLoss,
            {"margin": factor, "scale": 1},
        )
        for factor in (2, 4)
    ),
]


def assert_same(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert bool(mine.any())
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9 * other.abs().max().item())


@pytest.mark.parametrize(("name", "options", "loss", "their_options"), SOFTMAXES)
@pytest.mark.parametrize("near", [-3.0, 0.0, 0.5, 3.0])  # how far embeddings lean to their label's centre
def test_softmax(
    name: str, options: dict[str, Any], loss: type[torch.nn.Module], their_options: dict[str, Any], near: float
) -> None:
    head = methods.create(name, num_classes=NUM_CLASSES, embedding_size=SIZE, **options).double()
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(head.centres.shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(NUM_CLASSES, (BATCH_SIZE,), generator=generator)
    leaning = centres.reshape(NUM_CLASSES, -1, SIZE)[labels, 0]
    embeddings = torch.randn(BATCH_SIZE, SIZE, generator=generator, dtype=torch.float64) + near * leaning
    embeddings.requires_grad_()
    theirs = loss(num_classes=NUM_CLASSES, embedding_size=SIZE, **their_options).double()
    with torch.no_grad():
        head.centres.copy_(centres)
        theirs.get_parameter("W").copy_(centres.reshape(-1, SIZE).T)
    our_loss = head(embeddings, labels).loss
    unit = F.normalize(embeddings) if name == "softmax" else embeddings  # the others normalise by themselves
    their_loss = theirs(unit, labels)
    our_gradients = torch.autograd.grad(our_loss, (embeddings, head.centres))
    of_embeddings, of_w = torch.autograd.grad(their_loss, (embeddings, theirs.get_parameter("W")))
    assert_same((our_loss, *our_gradients), (their_loss, of_embeddings, of_w.T.reshape(centres.shape)))


def bag(name: str, seed: int) -> tuple[TripletHead, Tensor, Tensor]:
    """A head in evaluation mode, so that it draws nothing; embeddings; and labels."""
    head: Head = methods.create(name, num_classes=4, embedding_size=SIZE, margin=0.3).double().eval()
    assert isinstance(head, TripletHead)
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(BATCH_SIZE, SIZE, generator=generator, dtype=torch.float64).requires_grad_()
    return head, embeddings, torch.randint(4, (BATCH_SIZE,), generator=generator)


def picked(head: TripletHead, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    units = F.normalize(embeddings.detach())
    return tuple(head.pick(2 - 2 * units @ units.T, labels))  # type: ignore[return-value]  # a tuple of three


def rows(triplets: tuple[Tensor, ...]) -> set[tuple[int, ...]]:
    return set(map(tuple, torch.stack(triplets, dim=1).tolist()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "power"), [("triplet", 2), ("triplet_batch_hard", 1)])
def test_loss_of_triplets(name: str, power: int, seed: int) -> None:
    head, embeddings, labels = bag(name, seed)
    triplets = picked(head, embeddings, labels)
    theirs = TripletMarginLoss(margin=0.3, distance=LpDistance(power=power), reducer=MeanReducer())
    losses = head(embeddings, labels).loss, theirs(embeddings, labels, triplets)
    ours, other = ((loss, *torch.autograd.grad(loss, embeddings)) for loss in losses)
    assert_same(ours, other)


@pytest.mark.parametrize("seed", range(4))
def test_the_hardest_triplets_are_theirs(seed: int) -> None:
    head, embeddings, labels = bag("triplet_batch_hard", seed)
    assert rows(picked(head, embeddings, labels)) == rows(BatchHardMiner(distance=LpDistance())(embeddings, labels))


@pytest.mark.parametrize("seed", range(4))
def test_of_their_semi_hard_triplets_one_is_picked_for_every_pair(seed: int) -> None:
    head, embeddings, labels = bag("triplet", seed)
    miner = TripletMarginMiner(margin=0.3, type_of_triplets="semihard", distance=LpDistance(power=2))
    candidates = {row for row in rows(miner(embeddings, labels)) if row[0] < row[1]}
    ours = rows(picked(head, embeddings, labels))
    assert ours
    assert ours <= candidates
    assert sorted(row[:2] for row in ours) == sorted({row[:2] for row in candidates})
