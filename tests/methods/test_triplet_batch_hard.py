import math
from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from tests.heads import oracle
from tests.methods.test_triplet import assert_is_mean_over, batch, squared


def make(**options: Any) -> Head:
    return methods.create("triplet_batch_hard", num_classes=3, embedding_size=3, **options)


def batch_hard(x: oracle.Vector, labels: list[int], margin: float) -> float:
    losses = []
    for i, y in enumerate(labels):
        positives = [squared(x, i, j) for j, label in enumerate(labels) if label == y and j != i]
        negatives = [squared(x, i, j) for j, label in enumerate(labels) if label != y]
        if positives and negatives:
            losses.append(max(0, math.sqrt(max(positives)) - math.sqrt(min(negatives)) + margin))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("margin", [0.3, 0.0])
@pytest.mark.parametrize(("seed", "size"), [(0, 8), (1, 8), (2, 4), (3, 1)])
def test_formula(margin: float, seed: int, size: int) -> None:
    x, labels = batch(seed, size)
    assert_is_mean_over(make(margin=margin).double(), x, labels, lambda x: batch_hard(x, labels.tolist(), margin))


def test_equal_opposite_and_zero_embeddings_have_finite_gradients() -> None:
    embeddings = torch.tensor([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 0], [1, 0, 0]], requires_grad=True)
    make()(embeddings, torch.tensor([0, 0, 1, 1, 2])).loss.backward()
    assert embeddings.grad is not None
    assert bool(embeddings.grad.isfinite().all())


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"TripletBatchHard: .*'margin' is -1"):
        make(margin=-1)
    with pytest.raises(UserError, match="unknown key 'angle'"):
        make(angle=True)
