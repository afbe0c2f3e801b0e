"""A run small enough to be trained a hundred times: a few hundred steps a second, in a process made ready for it."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from datasets_tools.make_noise import make_manifest
from noisebench import methods
from noisebench.data.dataset import NoisyFaces
from noisebench.data.loader import Loader
from noisebench.data.sampler import BatchSampler
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.noise.recipe import load_recipe
from noisebench.training import checkpoint, dcp
from noisebench.training.distributed import Process, join
from noisebench.training.schedule import Schedule
from noisebench.training.settings import TrainingSettings
from noisebench.training.stopping import Stopped, StopRequest
from noisebench.training.sync_batchnorm import use_global_statistics
from noisebench.training.trainer import Trainer
from noisebench.training.watchdog import Watchdog

IDENTITIES, IMAGES, SIZE, BATCH = 7, 12, 12, 6
STEPS_PER_EPOCH = IDENTITIES * IMAGES // BATCH
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "torch._dynamo"])  # so that a process starts in milliseconds


@dataclass(frozen=True)
class Small:
    """A run.

    Attributes:
        data: Of `write_data`.
        folder: The run's folder.
    """

    data: Path
    folder: Path
    epochs: int = 3
    method: str = "curricularface"
    options: dict[str, Any] = field(default_factory=dict)
    recipe: str = "closed30"
    dropout: float = 0.0
    checkpoint_minutes: float = 5.0
    keep_checkpoints: int = 2
    timeout_seconds: float = 600.0
    training: dict[str, Any] = field(default_factory=dict)


def write_data(folder: Path) -> Path:
    """Training images and outliers of a few pixels, of no faces at all."""
    generator = np.random.default_rng(0)
    for name, identities in (("", IDENTITIES), ("outliers", 4)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        images = generator.integers(0, 256, (identities * IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
        encoded = [(cv2.imencode(".png", image)[1].tobytes(), number // IMAGES) for number, image in enumerate(images)]
        write_face_set(folder / name, encoded, identities, (SIZE, SIZE))
    return folder


class Backbone(nn.Sequential):
    """With all that a resumed run must find as it left it: batch statistics, and dropout drawing its own numbers."""

    def __init__(self, dropout: float) -> None:
        torch.manual_seed(0)
        super().__init__(
            *(nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.PReLU(4), nn.Dropout(dropout)),
            *(nn.Flatten(), nn.Linear(100, 8, bias=False), nn.BatchNorm1d(8)),
        )


def build(small: Small, process: Process, stop: StopRequest, tell: Callable[[str], None] = print) -> Trainer:
    """A trainer of the run."""
    base, outliers = FaceSet.open(small.data), FaceSet.open(small.data / "outliers")
    faces = NoisyFaces(base, outliers, make_manifest(load_recipe(small.recipe), base, outliers, seed=0))
    settings = TrainingSettings(
        epochs=small.epochs, batch_size=BATCH, schedule=Schedule(learning_rate=0.01), **small.training
    )
    sampler = BatchSampler(
        num_rows=len(faces),
        batch_size=BATCH,
        seed=1,
        rank=process.rank,
        world_size=process.world_size,
        parts=settings.accumulate,
    )
    backbone: nn.Module = Backbone(small.dropout)
    if process.is_distributed:
        backbone = use_global_statistics(backbone, process.device)
    head = methods.create(small.method, num_classes=IDENTITIES, embedding_size=8, seed=2, **small.options)
    return Trainer(
        settings=settings,
        backbone=backbone,
        head=head,
        loader=Loader(faces, sampler, flip_seed=3, threads=1),
        process=process,
        folder=small.folder,
        run_hash="small",
        seed=4,
        stop=stop,
        watchdog=Watchdog(small.folder, process, small.timeout_seconds, tell),
        checkpoint_minutes=small.checkpoint_minutes,
        keep_checkpoints=small.keep_checkpoints,
    )


class StopAfter(StopRequest):
    """A request to stop that comes after a number of steps of the whole run."""

    def __init__(self, step: int | None) -> None:
        self.step, self.trainer = step, None

    @property
    def made(self) -> bool:  # type: ignore[override]
        """Whether it has come."""
        return self.step is not None and self.trainer is not None and self.trainer.state.step >= self.step

    trainer: Trainer | None


def train(small: Small, process: Process | None = None, stop_after: int | None = None) -> Trainer:
    """Train in this process, to the end or until it is stopped."""
    torch.set_num_threads(1)
    stop = StopAfter(stop_after)
    stop.trainer = trainer = build(small, process or Process(0, 1, torch.device("cpu")), stop)
    try:
        trainer.run()
    except Stopped:
        assert stop_after is not None
    return trainer


def start(world_size: int, work: Callable[..., None], *arguments: Any) -> list[ForkServerProcess]:
    """Start processes that join each other; each calls ``work(process, *arguments)``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        PROCESSES.Process(target=_joined, args=(rank, world_size, port, work, arguments)) for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    return processes


def _joined(rank: int, world_size: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world_size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with join("cpu") as process:
        work(process, *arguments)


def work(process: Process, small: Small, stop_after: int | None) -> None:
    """`train`, for `start`."""
    train(small, process, stop_after)


def train_together(world_size: int, small: Small, stop_after: int | None = None) -> None:
    """Train in several processes, to the end or until they are stopped."""
    processes = start(world_size, work, small, stop_after)
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * world_size


def tensors(run_folder: Path) -> dict[str, Tensor]:
    """All tensors of the newest checkpoint of a run: weights, centres, momentum, buffers, logs."""
    newest = checkpoint.checkpoints(run_folder)[-1]
    blocks = {
        name: dcp.Block(torch.empty(saved.shape, dtype=saved.dtype))
        for name, saved in dcp.saved_tensors(newest).items()
    }
    dcp.read(newest, blocks)
    return {name: block.tensor for name, block in blocks.items()}


def logs(run_folder: Path) -> dict[str, bytes]:
    """Every log file of a run by its name."""
    files = [file for folder in ("samples", "centres") for file in (run_folder / folder).rglob("*") if file.is_file()]
    files += run_folder.glob("state.csv")
    return {str(file.relative_to(run_folder)): file.read_bytes() for file in files}


def history(run_folder: Path) -> list[tuple[int, float, float]]:
    """Epoch, loss and learning rate of every finished epoch, as the newest checkpoint has them."""
    state = checkpoint.read_state(checkpoint.checkpoints(run_folder)[-1])
    return [(epoch["epoch"], epoch["loss"], epoch["learning_rate"]) for epoch in state["history"]]
