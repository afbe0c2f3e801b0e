"""Contradictory options of the engine are refused, naming option and value; auto goes by memory."""

from typing import Any

import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads import class_head
from noisebench.heads.class_head import ClassHead


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk_size": 11}, "chunk_size is 11, larger than the 10 classes"),
        ({"chunk_size": 0}, "'chunk_size' is 0: .*greater than or equal to 1"),
        ({"chunk_size": 5, "mode": "dense"}, "chunk_size is 5, but mode 'dense' has no chunks: choose 'chunked'"),
        ({"sub_centres": 0}, "'sub_centres' is 0: .*greater than or equal to 1"),
        ({"mode": "chunkd"}, "'mode' is 'chunkd': .*'chunked'"),
        ({"products": "float16"}, "'products' is 'float16': .*'bfloat16'"),
        ({"sample_rate": 0}, "'sample_rate' is 0: .*greater than 0"),
        ({"sample_rate": 1.5}, "'sample_rate' is 1.5: .*less than or equal to 1"),
        ({"unsampled": "drift"}, "unsampled is 'drift', but sample_rate 1.0 leaves no class unsampled"),
        ({"filter_threshold": 1.5}, "'filter_threshold' is 1.5: .*less than 1"),
        ({"filter_threshold": -1}, "'filter_threshold' is -1: .*greater than -1"),
    ],
)
def test_faulty_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"{message}") as raised:
        methods.create("arcface", num_classes=10, embedding_size=2, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("mode", "most_bytes", "stored"),
    [("auto", 80, True), ("auto", 79, False), ("dense", 0, True), ("chunked", 80, False)],
)
def test_auto_stores_the_matrix_while_it_is_small(
    mode: str, most_bytes: int, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_head, "MOST_MATRIX_BYTES", most_bytes)
    head = methods.create("softmax", num_classes=10, embedding_size=2, mode=mode)
    assert isinstance(head, ClassHead)
    assert head.mode_used is None
    assert head.cosines(torch.ones(2, 2), torch.zeros(2, dtype=torch.int64)).is_stored is stored
    assert head.mode_used == ("dense" if stored else "chunked")


def test_sub_centres_count_the_samples_of_an_epoch() -> None:
    head = methods.create("softmax", num_classes=2, embedding_size=2, sub_centres=3)
    assert isinstance(head, ClassHead)
    assert head.centres.shape == (2, 3, 2)
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[[1, 0], [0, 1], [-1, 0]], [[1, 1], [0, -2], [-1, -1]]]))
    east, north, south = [1.0, 0.1], [0.0, 1.0], [0.1, -1.0]
    head.begin_epoch(0, 2)
    output = head(torch.tensor([north, south, east]), torch.tensor([0, 1, 1]))
    assert output.sub_centre is not None
    assert output.sub_centre.tolist() == [1, 1, 0]
    head(torch.tensor([north, east]), torch.tensor([0, 0]))
    assert head.sub_centre_counts.tolist() == [[1, 2, 0], [1, 1, 0]]
    assert head.dominant_sub_centres().tolist() == [1, 0]
    assert head.class_centres().tolist() == [[0, 1], [1, 1]]
    head.eval()
    head(torch.tensor([east]), torch.tensor([0]))
    assert head.sub_centre_counts.sum() == 5
    head.begin_epoch(1, 2)
    assert not bool(head.sub_centre_counts.any())
