"""What a user sees of a training: a bar on a terminal, a line an epoch elsewhere, TensorBoard events, a heartbeat."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from noisebench.errors import FileError
from noisebench.training.heartbeat import Heartbeat, Phase

SECONDS_BETWEEN_BEATS = 2.0


@dataclass(frozen=True)
class EpochSummary:
    """What an epoch came to: mean loss, learning rate at its end, and speed over all processes."""

    epoch: int
    loss: float
    learning_rate: float
    images_per_second: float


class Progress:
    """Show the progress of a training; on any process but the first, show nothing.

    Args:
        folder: The run's folder; it gets ``progress.json``, and its ``tensorboard/`` the events.
        epochs: Length of the training.
        steps_per_epoch: Steps of an epoch.
        batch_size: Images of a step, over all processes.
        visible: False on all processes but the first.
    """

    def __init__(self, folder: Path, *, epochs: int, steps_per_epoch: int, batch_size: int, visible: bool) -> None:
        self.folder, self.epochs, self.steps_per_epoch, self.batch_size = folder, epochs, steps_per_epoch, batch_size
        self.visible = visible
        self.on_terminal = visible and sys.stderr.isatty()
        self.events: SummaryWriter | None = None
        self.bar = tqdm(
            total=epochs * steps_per_epoch * batch_size,
            unit="img",
            unit_scale=True,
            leave=False,
            disable=not self.on_terminal,
        )
        self._step = self._first_step = 0
        self._began = self._last_beat = time.perf_counter()

    def __enter__(self) -> Self:
        self.enter("start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()
        if self.events is not None:
            self.events.close()

    def begin(self, step: int, history: Sequence[EpochSummary]) -> None:
        """Begin a sitting after so many steps of the run, whose events are written anew: none is missing or double."""
        self._step = self._first_step = step
        self._began = time.perf_counter()
        self.bar.reset()
        self.bar.initial = self.bar.n = step * self.batch_size
        if self.visible:
            shutil.rmtree(self.folder / "tensorboard", ignore_errors=True)
            self.events = SummaryWriter(str(self.folder / "tensorboard"), purge_step=0)
            for summary in history:
                self._write_events(summary)

    def enter(self, phase: Phase) -> None:
        """Say what the run does now."""
        if self.visible:
            self._beat(phase)

    def start_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0."""
        self.bar.set_description(f"  epoch {epoch + 1}/{self.epochs}")

    def advance(self) -> None:
        """Count a step."""
        self._step += 1
        self.bar.update(self.batch_size)
        if self.visible and time.perf_counter() - self._last_beat >= SECONDS_BETWEEN_BEATS:
            self._beat("train")

    def end_epoch(self, summary: EpochSummary) -> None:
        """Report an epoch."""
        self._write_events(summary)
        self.bar.set_postfix(loss=f"{summary.loss:.3f}")
        if self.visible and not self.on_terminal:
            images_per_epoch = self.steps_per_epoch * self.batch_size
            left = (self.epochs - summary.epoch - 1) * images_per_epoch / summary.images_per_second
            print(  # noqa: T201 - the progress of a log file
                f"    epoch {summary.epoch + 1}/{self.epochs}  loss {summary.loss:.3f}"
                f"  {summary.images_per_second:.0f} images/s  {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def _write_events(self, summary: EpochSummary) -> None:
        if self.events is not None:
            self.events.add_scalar("train/loss", summary.loss, summary.epoch)
            self.events.add_scalar("train/learning_rate", summary.learning_rate, summary.epoch)
            self.events.add_scalar("train/images_per_second", summary.images_per_second, summary.epoch)

    def _beat(self, phase: Phase) -> None:
        self._last_beat = time.perf_counter()
        images = (self._step - self._first_step) * self.batch_size
        heartbeat = Heartbeat(
            step=self._step,
            steps=self.epochs * self.steps_per_epoch,
            epoch=min(self._step // self.steps_per_epoch, self.epochs - 1),
            epochs=self.epochs,
            images_per_second=images / max(self._last_beat - self._began, 1e-9),
            phase=phase,
            host=socket.gethostname(),
            pid=os.getpid(),
            updated=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with contextlib.suppress(FileError):  # a full disk matters when there is something to save
            heartbeat.write(self.folder)
