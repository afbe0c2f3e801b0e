"""Test images spread over processes: all get what one alone gets, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from noisebench.evaluation.embed import Embedder, Flip
from noisebench.evaluation.result import Preprocessing
from noisebench.training.distributed import Process
from tests.training import small as runs

SIZE = 8
NUM_IMAGES = (1, 6, 23)  # fewer batches than processes; as many in every turn; a last turn and a last batch cut short
FLIPS: tuple[Flip, ...] = ("none", "sum", "concatenation")


def embed_all(*, spread: bool) -> dict[str, Tensor]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4), nn.Flatten(), nn.Linear(144, 5))
    images = np.random.default_rng(0).integers(0, 256, (max(NUM_IMAGES), SIZE, SIZE, 3), dtype=np.uint8)
    found = {}
    for count in NUM_IMAGES:
        for flip in FLIPS:
            preprocessing = Preprocessing(image_size=(SIZE, SIZE))
            embedder = Embedder(backbone, preprocessing=preprocessing, batch_size=2, spread=spread)
            found[f"{count} {flip}"] = torch.from_numpy(embedder.embed(list(images[:count]), flip))
            found[f"{count} {flip} norm"] = torch.tensor(embedder.mean_norm, dtype=torch.float64)
    return found


def _leave(process: Process, folder: Path) -> None:
    torch.save(embed_all(spread=True), folder / f"{process.rank}.pt")


def test_all_processes_get_what_one_alone_gets(tmp_path: Path) -> None:
    processes = runs.start(3, _leave, tmp_path)
    expected = embed_all(spread=False)
    for rank, process in enumerate(processes):
        process.join(120)
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert torch.equal(found[name], values), name
