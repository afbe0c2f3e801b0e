from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from noisebench.heads.margin_softmax import MarginSoftmax
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula, cross_entropy


def make(**options: Any) -> MarginSoftmax:
    head = methods.create("subcenter_arcface", num_classes=3, embedding_size=4, **options)
    assert isinstance(head, MarginSoftmax)
    return head


def formula(num_sub_centres: int) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        nearest = [max(row[j : j + num_sub_centres]) for j in range(0, len(row), num_sub_centres)]
        nearest[y] = oracle.arc_target(nearest[y], 0.5)
        return cross_entropy([16 * c for c in nearest], y)

    return row_loss


@pytest.mark.parametrize("num_sub_centres", [1, 2, 3])
def test_formula(num_sub_centres: int) -> None:
    assert_equals_formula(make(scale=16.0, sub_centres=num_sub_centres), formula(num_sub_centres))


def test_centres_are_a_contract() -> None:
    assert make().centres.shape == (3, 3, 4)
    assert make(sub_centres=1).centres.shape == (3, 4)


def test_a_gradient_reaches_the_nearest_sub_centre_alone() -> None:
    head = make(sub_centres=2)
    with torch.no_grad():
        head.centres.copy_(torch.eye(4)[[0, 1, 2, 3, 0, 3]].view(3, 2, 4))
    head(torch.tensor([[2.0, 0.5, 0.0, 0.4]]), torch.tensor([0])).loss.backward()
    assert head.centres.grad is not None
    assert head.centres.grad.any(dim=2).tolist() == [[True, False], [False, True], [True, False]]


def follow(head: Head, embeddings: list[list[float]], labels: list[int]) -> None:
    head(torch.tensor(embeddings), torch.tensor(labels))


def test_counts_by_sub_centre_over_an_epoch() -> None:
    head = make(sub_centres=2)
    with torch.no_grad():
        head.centres.copy_(torch.eye(4)[[0, 1, 2, 3, 0, 3]].view(3, 2, 4))
    head.begin_epoch(0, 2)
    follow(head, [[9.0, 1.0, 0.0, 0.0], [1.0, 9.0, 0.0, 0.0], [0.0, 1.0, 0.0, 9.0]], [0, 0, 1])
    follow(head, [[0.0, 9.0, 8.0, 0.0], [0.0, 0.0, 1.0, 9.0]], [0, 2])
    counts = head.get_buffer("sub_centre_counts")
    assert counts.tolist() == [[1, 2], [0, 1], [0, 1]]
    assert head.dominant_sub_centres().tolist() == [1, 1, 1]
    torch.testing.assert_close(head.class_centres(), torch.eye(4)[[1, 3, 3]])
    torch.testing.assert_close(head.all_centres(), torch.eye(4)[[1, 0, 3, 2, 3, 0]].view(3, 2, 4))
    head.eval()
    follow(head, [[9.0, 1.0, 0.0, 0.0]], [0])
    assert counts.tolist() == [[1, 2], [0, 1], [0, 1]]
    head.begin_epoch(1, 2)
    assert not counts.any()


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"SubcenterArcFace: .*'sub_centres' is 0"):
        make(sub_centres=0)
