"""Test images spread over processes: all get what one alone gets, to the last bit."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noisebench.errors import FileError
from noisebench.evaluation.embed import Embedder, Flip
from noisebench.evaluation.result import Preprocessing
from noisebench.formats.jpeg import Image
from noisebench.training.distributed import PeerLost, Process
from noisebench.training.watchdog import Watchdog
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


def _embed_beside_a_faulty_one(process: Process, folder: Path, fault: str) -> None:
    """Embed 23 images; in the second turn process 1 hangs in decoding, or dies. Who notices writes down why it ends."""

    def decode(number: int) -> Image:
        if process.rank == 1 and number == 8:
            if fault == "die":
                os._exit(9)
            time.sleep(600)
        return np.zeros((SIZE, SIZE, 3), np.uint8)

    def tell(reason: str) -> None:
        (folder / "reason").write_text(reason, encoding="utf-8")

    try:
        with Watchdog(folder, process, 3.0, tell) as watchdog:
            embedder = Embedder(nn.Flatten(), preprocessing=PREPROCESSING, batch_size=2, spread=True, watch=watchdog)
            embedder.embed(partial(decode, number) for number in range(max(NUM_IMAGES)))
    except PeerLost as lost:
        if lost.is_told_here:
            tell(str(lost))
        os._exit(1)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("hang", "process 1 hangs in 'embed' after the training: no progress for 3 s"),
        ("die", "process 1 was lost; process 0 noticed it in 'gather' after the training"),
    ],
)
def test_one_that_does_not_get_on_is_named(tmp_path: Path, fault: str, told: str) -> None:
    for process in runs.start(3, _embed_beside_a_faulty_one, tmp_path, fault):
        process.join(60)
        assert process.exitcode in (1, 9)
    assert (tmp_path / "reason").read_text(encoding="utf-8") == told


def test_what_comes_after_the_embedding_may_take_its_time(tmp_path: Path) -> None:
    with Watchdog(tmp_path, Process(0, 1, torch.device("cpu")), 0.2, pytest.fail) as watchdog:
        time.sleep(0.5)  # before the first phase, likewise
        embedder = Embedder(nn.Flatten(), preprocessing=PREPROCESSING, batch_size=2, watch=watchdog)
        embedder.embed([np.zeros((SIZE, SIZE, 3), np.uint8)] * 5)
        time.sleep(0.5)
