"""What a user sees of a training: a bar on a terminal, a line an epoch elsewhere, TensorBoard events."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm


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
        folder: The run's folder; TensorBoard events go to its ``tensorboard/``.
        epochs: Length of the training.
        first_epoch: Where this sitting starts; earlier epochs do not count for the speed.
        images_per_epoch: Images of an epoch, over all processes.
        visible: False on all processes but the first.
    """

    def __init__(self, folder: Path, *, epochs: int, first_epoch: int, images_per_epoch: int, visible: bool) -> None:
        self.epochs = epochs
        self.images_per_epoch = images_per_epoch
        self.visible = visible
        self.on_terminal = visible and sys.stderr.isatty()
        self.events = SummaryWriter(str(folder / "tensorboard")) if visible else None
        self.bar = tqdm(
            total=epochs * images_per_epoch,
            initial=first_epoch * images_per_epoch,
            unit="img",
            unit_scale=True,
            leave=False,
            disable=not self.on_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()
        if self.events is not None:
            self.events.close()

    def start_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0."""
        self.bar.set_description(f"  epoch {epoch + 1}/{self.epochs}")

    def advance(self, images: int) -> None:
        """Count the images of a step."""
        self.bar.update(images)

    def end_epoch(self, summary: EpochSummary) -> None:
        """Report an epoch."""
        if self.events is not None:
            self.events.add_scalar("train/loss", summary.loss, summary.epoch)
            self.events.add_scalar("train/learning_rate", summary.learning_rate, summary.epoch)
            self.events.add_scalar("train/images_per_second", summary.images_per_second, summary.epoch)
        self.bar.set_postfix(loss=f"{summary.loss:.3f}")
        if self.visible and not self.on_terminal:
            left = (self.epochs - summary.epoch - 1) * self.images_per_epoch / summary.images_per_second
            print(  # noqa: T201 - the progress of a log file
                f"    epoch {summary.epoch + 1}/{self.epochs}  loss {summary.loss:.3f}"
                f"  {summary.images_per_second:.0f} images/s  {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
