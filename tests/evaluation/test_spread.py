"""Test images spread over processes: all get what one alone gets, to the last bit."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from noisebench.errors import FileError
from noisebench.evaluation.embed import Embedder, Flip
from noisebench.evaluation.result import Preprocessing
from noisebench.formats.jpeg import Image
from noisebench.training.distributed import Process
from tests.training import small as runs

SIZE = 8
PREPROCESSING = Preprocessing(image_size=(SIZE, SIZE))
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
            embedder = Embedder(backbone, preprocessing=PREPROCESSING, batch_size=2, spread=spread)
            found[f"{count} {flip}"] = torch.from_numpy(embedder.embed(list(images[:count]), flip))
            found[f"{count} {flip} norm"] = torch.tensor(embedder.mean_norm, dtype=torch.float64)
    return found


def decoded_here() -> list[int]:
    """Which of the images this process decodes of 23 in batches of two."""
    found: list[int] = []

    def decode(number: int) -> Image:
        found.append(number)
        return np.zeros((SIZE, SIZE, 3), np.uint8)

    embedder = Embedder(nn.Flatten(), preprocessing=PREPROCESSING, batch_size=2, spread=True)
    embedder.embed(partial(decode, number) for number in range(max(NUM_IMAGES)))
    return found


def told_of_a_bad_image() -> str:
    """What this process says of an image that another one may be the only one to decode."""

    def decode(number: int) -> Image:
        if number == 3:
            raise FileError(Path("3.jpg"), "the image is unusable")
        return np.zeros((SIZE, SIZE, 3), np.uint8)

    embedder = Embedder(nn.Flatten(), preprocessing=PREPROCESSING, batch_size=2, spread=True)
    try:
        embedder.embed(partial(decode, number) for number in range(8))
    except FileError as error:
        return str(error)
    return ""


def _leave(process: Process, folder: Path) -> None:
    torch.save(embed_all(spread=True), folder / f"{process.rank}.pt")
    told = {"decoded": decoded_here(), "error": told_of_a_bad_image()}
    (folder / f"{process.rank}.json").write_text(json.dumps(told), encoding="utf-8")


def test_all_processes_get_what_one_alone_gets_and_each_decodes_its_share(tmp_path: Path) -> None:
    processes = runs.start(3, _leave, tmp_path)
    expected = embed_all(spread=False)
    decoded = []
    for rank, process in enumerate(processes):
        process.join(120)
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert torch.equal(found[name], values), name
        told = json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8"))
        assert told["error"] == "3.jpg: the image is unusable"
        assert {number // 2 % 3 for number in told["decoded"]} == {rank}  # batches are taken in turn
        decoded += told["decoded"]
    assert sorted(decoded) == list(range(max(NUM_IMAGES)))
