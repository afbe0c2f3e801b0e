"""State and labels over batches, epochs and processes."""

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from noisebench import methods

WORLD_SIZE = 2


def batch(seed: int, size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, 6, generator=generator), torch.randint(0, 5, (size,), generator=generator)


@pytest.mark.parametrize(
    ("label_cosine", "nearest_cosine", "corrected"),
    [(-0.5, 0.45, False), (-0.5, 0.50, True), (0.2, 0.60, False), (0.2, 0.65, True), (0, 0.47, False), (0, 0.48, True)],
)
def test_boundaryf1_corrects(label_cosine: float, nearest_cosine: float, corrected: bool) -> None:
    head = methods.create("boundaryf1", num_classes=3, embedding_size=2, start_epoch=0)
    angles = torch.tensor([math.acos(label_cosine), -math.acos(nearest_cosine), math.pi])
    with torch.no_grad():
        head.centres.copy_(torch.stack([angles.cos(), angles.sin()], dim=1))
    head.begin_epoch(0, 10)
    rows = head(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), torch.tensor([1])).rows
    assert rows.used_label.tolist() == [1 if corrected else 0]
    assert rows.nearest.tolist() == [1]
    assert rows.cosine_label.item() == pytest.approx(label_cosine, abs=1e-6)
    assert rows.cosine_true.item() == pytest.approx(nearest_cosine, abs=1e-6)
    assert rows.cosine_nearest.item() == pytest.approx(nearest_cosine, abs=1e-6)
    assert rows.norm.item() == 2.0


@pytest.mark.parametrize(
    ("start_epoch", "num_epochs", "first"), [(None, 12, 4), (None, 8, 2), (0, 5, 0), (3, 5, 3), (None, 1, 0)]
)
def test_boundaryf1_starts(start_epoch: int | None, num_epochs: int, first: int) -> None:
    head = methods.create("boundaryf1", num_classes=2, embedding_size=2, start_epoch=start_epoch)
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    used = []
    for epoch in range(num_epochs):
        head.begin_epoch(epoch, num_epochs)
        used.append(int(head(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).rows.used_label))
    assert used == [0] * first + [1] * (num_epochs - first)


def test_curricularface_follows_the_mean_cosine_in_training_only() -> None:
    head = methods.create("curricularface", num_classes=5, embedding_size=6)
    state, expected = head.get_buffer("t"), 0.0
    for seed in range(10):
        embeddings, labels = batch(seed)
        rows = head(embeddings, labels).rows
        expected = 0.01 * rows.cosine_label.mean().item() + 0.99 * expected
        assert float(state) == pytest.approx(expected, abs=1e-7)
    head.eval()
    head(*batch(99))
    assert float(state) == pytest.approx(expected, abs=1e-7)


def test_state_changed_before_backward_is_an_error() -> None:
    head = methods.create("curricularface", num_classes=5, embedding_size=6)
    loss = head(*batch(0)).loss
    head(*batch(1))
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def _train(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD_SIZE)
    head = methods.create("curricularface", num_classes=5, embedding_size=6)
    for seed in range(3):
        embeddings, labels = batch(seed)
        head(embeddings[rank::WORLD_SIZE], labels[rank::WORLD_SIZE])
    torch.save(head.get_buffer("t"), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_processes_share_one_state(tmp_path: Path) -> None:
    spawn(_train, args=(str(tmp_path),), nprocs=WORLD_SIZE)  # type: ignore[no-untyped-call]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(WORLD_SIZE))
    head = methods.create("curricularface", num_classes=5, embedding_size=6)
    for seed in range(3):
        head(*batch(seed))
    assert first.item() == second.item() == pytest.approx(head.get_buffer("t").item(), rel=1e-6)
