"""The training loop. It knows backbones and heads by their interface alone, never a method by its name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from noisebench.analysis.centre_log import CentreLog
from noisebench.analysis.sample_log import SampleLog
from noisebench.data.loader import Batch, Loader
from noisebench.errors import UserError
from noisebench.heads.head import Head
from noisebench.noise.counter import derive_seed
from noisebench.training.distributed import Process
from noisebench.training.monitor import Monitor
from noisebench.training.progress import EpochSummary, Progress
from noisebench.training.run_state import EpochUnderWay, HeadState, ModuleState, OptimizerState, RunState, Stateful
from noisebench.training.settings import TrainingSettings
from noisebench.training.step import Columns, Step
from noisebench.training.stopping import Stopped, StopRequest
from noisebench.training.watchdog import Phase, Watchdog

MAX_NAMED_RECORDS = 8


class TrainingFault(Exception):  # noqa: N818 - it is the training that is at fault
    """The training itself went wrong, so the run has failed."""


@dataclass
class Trainer:
    """Train a backbone and a head on noisy faces, from the last checkpoint in ``folder`` if there is one.

    Args:
        settings: Optimiser, schedule, precision.
        backbone: Images [B, 3, H, W] to embeddings [B, D].
        head: A head of `noisebench.methods.create`.
        loader: This rank's batches.
        process: This process among its peers.
        folder: Where the checkpoints and the logs go.
        run_hash: Identity of the run; a checkpoint of another run is refused.
        seed: Named seed of layers that draw while training (dropout).
        stop: Looked at between steps.
        watchdog: Is told what the trainer is doing.
        checkpoint_minutes: Time between checkpoints within an epoch; each epoch ends with one in any case.
        keep_checkpoints: How many of the last are kept.
    """

    settings: TrainingSettings
    backbone: nn.Module
    head: Head
    loader: Loader
    process: Process
    folder: Path
    run_hash: str
    seed: int
    stop: StopRequest
    watchdog: Watchdog
    checkpoint_minutes: float = 5.0
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        device, sampler = self.process.device, self.loader.sampler
        self.step = Step(self.settings, self.backbone, self.head, self.process, self._enter)
        self.epoch = EpochUnderWay(sampler.batch_size, self.process)
        backbone, head = ModuleState(self.backbone), HeadState(self.head)
        modules: dict[str, tuple[nn.Module, Stateful]] = {
            "backbone": (self.backbone, backbone),
            "head": (self.head, head),
        }
        optimizer = OptimizerState(self.step.optimizer, modules)
        parts: dict[str, Stateful] = {"backbone": backbone, "head": head, "optimizer": optimizer, "epoch": self.epoch}
        if self.step.average is not None:
            parts["average"] = self.step.average
        self.state = RunState(
            self.folder, self.run_hash, self.process, sampler.steps_per_epoch, parts, self.epoch, self.keep_checkpoints
        )
        self.sample_log = SampleLog(
            self.folder,
            rank=self.process.rank,
            per_batch=self.loader.noise is not None,
            sub_centres=self.head.centres.dim() == 3,
        )
        self.centre_log = CentreLog(self.folder)
        self.monitor = Monitor(self.folder, visible=self.process.is_first)
        self.progress = Progress(
            self.folder,
            epochs=self.settings.epochs,
            steps_per_epoch=sampler.steps_per_epoch,
            batch_size=sampler.batch_size,
            visible=self.process.is_first,
        )
        # A GPU is asked for its losses only now and then: each answer waits for all the work queued before it.
        self.check_every = 1 if device.type == "cpu" else 50

    def run(self) -> list[EpochSummary]:
        """Train to the end.

        Returns:
            A summary of every epoch, those of earlier sittings included.

        Raises:
            Stopped: Asked to stop, or there was no room for a checkpoint; what was saved stands.
            TrainingFault: The loss is no longer finite; the records of the batch are named.
        """
        with self.watchdog, self.progress:
            self._enter("start")
            self._resume()
            self.last_saved = time.monotonic()
            self.progress.begin(self.state.step, self.state.history)
            while self.epoch.number < self.settings.epochs:
                self._train_epoch()
                self._end_epoch()
            self.step.finish()
            self.progress.enter("test")
        return self.state.history

    def _resume(self) -> None:
        height, width = self.loader.faces.base.image_size
        share = self.loader.sampler.batch_size // self.process.world_size
        self.step.settle_buckets(torch.zeros(share, 3, height, width, device=self.process.device))
        found = self.state.find()
        self._begin_head()
        if found is not None:
            self.state.load(found)
            self._forget_centres()  # a process killed after its last checkpoint had no time to
        self.monitor.go_on_from(self.state.step)

    def _begin_head(self) -> None:
        if self.epoch.number < self.settings.epochs:
            self.head.begin_epoch(self.epoch.number, self.settings.epochs)

    def _train_epoch(self) -> None:
        """Train the rest of the epoch under way."""
        epoch, steps_per_epoch = self.epoch, self.loader.sampler.steps_per_epoch
        self.progress.start_epoch(epoch.number)
        self.backbone.train()
        self._enter("data")
        unchecked = 0
        for batch in self.loader.epoch(epoch.number, epoch.step):
            loss, columns = self.train_step(batch)
            self._enter("log")
            self.monitor.add(self.state.step, self.head.monitored())
            epoch.add(loss, batch.logged(), columns)
            self.progress.advance()
            unchecked += 1
            if unchecked == self.check_every or epoch.step == steps_per_epoch:
                self._check(unchecked)
                unchecked = 0
            self._enter("data")

    def train_step(self, batch: Batch) -> tuple[Tensor, Columns]:
        """Train on one batch.

        Returns:
            The loss, and the statistics of each row by name.
        """
        return self.step(
            batch,
            number=self.state.step,
            learning_rate=self._learning_rate(self.state.step),
            seed=derive_seed(self.seed, f"{self.epoch.number}/{self.epoch.step}/{self.process.rank}"),
        )

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings, float32 [B, D], of images as the network takes them, in the precision of the training."""
        return self.step.embed(images)

    def _learning_rate(self, step: int) -> float:
        steps_per_epoch = self.loader.sampler.steps_per_epoch
        return self.settings.schedule.at(step, steps_per_epoch=steps_per_epoch, epochs=self.settings.epochs)

    def _check(self, num_steps: int) -> None:
        """Look at the last losses, and at what is asked for: to stop, or to save. All processes decide alike."""
        self._enter("check")
        finite = self.epoch.are_finite(num_steps)
        is_due = self.process.is_first and time.monotonic() - self.last_saved >= 60 * self.checkpoint_minutes
        is_faulty, is_stopped, is_due = self.process.any(not finite.all(), self.stop.made, is_due)
        if is_faulty:
            # A process whose own losses are finite names the last step: the faulty one speaks for itself.
            step = int(finite.argmin()) if not finite.all() else num_steps - 1
            self._fail(self.epoch.step - num_steps + step)
        if is_stopped or is_due:
            self._save()
        if is_stopped:
            where = f"epoch {self.epoch.number + 1} of {self.settings.epochs}, step {self.epoch.step}"
            raise Stopped(f"stopped and saved in {where} of {self.loader.sampler.steps_per_epoch}")

    def _fail(self, step: int) -> NoReturn:
        records = self.loader.records(self.epoch.number, step)
        named = ", ".join(records[:MAX_NAMED_RECORDS])
        more = f" and {len(records) - MAX_NAMED_RECORDS} more" if len(records) > MAX_NAMED_RECORDS else ""
        raise TrainingFault(
            f"the loss is not finite in epoch {self.epoch.number + 1}, step {step + 1}; the batch holds records "
            f"{named}{more}. Look at them, or lower schedule.learning_rate"
        )

    def _end_epoch(self) -> None:
        """Log the epoch that is complete, and save the run as it stands at the start of the next one."""
        self._enter("log")
        self.progress.enter("log")
        self._write_logs()
        epoch, sampler = self.epoch, self.loader.sampler
        speed = epoch.step * sampler.batch_size / epoch.seconds
        loss, learning_rate = epoch.losses().mean().item(), self._learning_rate(self.state.step - 1)
        self.state.history.append(EpochSummary(epoch.number, loss, learning_rate, speed))
        epoch.begin(epoch.number + 1)
        self._begin_head()
        self._save()
        self.progress.end_epoch(self.state.history[-1])

    def _write_logs(self) -> None:
        self.sample_log.append(**{name: column.numpy() for name, column in self.epoch.rows().items()})
        self.sample_log.close_epoch(self.epoch.number, num_ranks=self.process.world_size)
        centres = self.head.class_centres()
        if self.process.is_first:
            self.centre_log.append(self.epoch.number, centres.float().cpu().numpy())

    def _save(self) -> None:
        self._enter("checkpoint")
        self.progress.enter("checkpoint")
        try:
            self.monitor.write()
            self.state.save()
        except UserError as error:
            raise Stopped(f"cannot save a checkpoint: {error}") from error
        self._forget_centres()
        self.last_saved = time.monotonic()

    def _forget_centres(self) -> None:
        if self.process.is_first:
            self.centre_log.forget(before=self.state.oldest_epoch())

    def _enter(self, phase: Phase) -> None:
        self.watchdog.enter(phase, self.state.step)
