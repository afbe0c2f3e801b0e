"""The training loop. It knows backbones and heads by their interface alone, never a method by its name."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from noisebench.analysis.centre_log import CentreLog
from noisebench.analysis.sample_log import SampleLog
from noisebench.data.loader import Batch, Loader, to_network_input
from noisebench.errors import FileError
from noisebench.heads.head import Head, Rows
from noisebench.noise.counter import derive_seed
from noisebench.training import checkpoint, model_file
from noisebench.training.distributed import Process
from noisebench.training.progress import EpochSummary, Progress
from noisebench.training.settings import TrainingSettings
from noisebench.training.stopping import Stopped, StopRequest

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
        folder: Where the checkpoint and the logs go.
        run_hash: Identity of the run; a checkpoint of another run is refused.
        seed: Named seed of layers that draw while training (dropout).
        stop: Looked at between steps.
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
    history: list[EpochSummary] = field(default_factory=list)

    def __post_init__(self) -> None:
        device = self.process.device
        self.backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
        self.head.to(device)
        self.parallel = self.process.wrap(self.backbone)
        self.optimizer = torch.optim.SGD(
            [weight for module in (self.backbone, self.head) for weight in module.parameters() if weight.requires_grad],
            lr=self.settings.schedule.learning_rate,
            momentum=self.settings.momentum,
            weight_decay=self.settings.weight_decay,
            nesterov=self.settings.nesterov,
        )
        self.head.attach(self.optimizer)
        self.sample_log = SampleLog(self.folder, rank=self.process.rank, per_batch=self.loader.noise is not None)
        self.centre_log = CentreLog(self.folder)
        # A GPU is asked for its losses only now and then: each answer waits for all the work queued before it.
        self.check_every = 1 if device.type == "cpu" else 50

    def run(self) -> list[EpochSummary]:
        """Train to the end.

        Returns:
            A summary of every epoch, those of earlier sittings included.

        Raises:
            Stopped: Asked to stop; the finished epochs are saved.
            TrainingFault: The loss is no longer finite; the records of the batch are named.
        """
        self._resume()
        sampler = self.loader.sampler
        with Progress(
            self.folder,
            epochs=self.settings.epochs,
            first_epoch=len(self.history),
            images_per_epoch=sampler.steps_per_epoch * sampler.batch_size,
            visible=self.process.is_first,
        ) as progress:
            for epoch in range(len(self.history), self.settings.epochs):
                progress.start_epoch(epoch)
                self.history.append(self._train_epoch(epoch, progress))
                self._save()
                progress.end_epoch(self.history[-1])
        return self.history

    def _train_epoch(self, epoch: int, progress: Progress) -> EpochSummary:
        sampler = self.loader.sampler
        torch.manual_seed(derive_seed(self.seed, f"{epoch}/{self.process.rank}"))  # layers draw from no other generator
        self.backbone.train()
        self.head.begin_epoch(epoch, self.settings.epochs)
        losses: list[Tensor] = []
        logged: list[tuple[dict[str, NDArray[np.integer]], Rows]] = []
        began = time.perf_counter()
        learning_rate = 0.0
        for step, batch in enumerate(self.loader.epoch(epoch)):
            learning_rate = self._set_learning_rate(epoch * sampler.steps_per_epoch + step)
            loss, rows = self._train_step(batch)
            losses.append(loss)
            logged.append((batch.logged(), rows))
            if (step + 1) % self.check_every == 0 or step + 1 == sampler.steps_per_epoch:
                self._check(epoch, losses, since=max(0, step + 1 - self.check_every))
            progress.advance(sampler.batch_size)
        seconds = time.perf_counter() - began
        self._write_logs(epoch, logged)
        mean_loss = torch.stack(losses).mean()
        self.process.average([mean_loss])
        return EpochSummary(epoch, mean_loss.item(), learning_rate, len(losses) * sampler.batch_size / seconds)

    def _train_step(self, batch: Batch) -> tuple[Tensor, Rows]:
        device = self.process.device
        images = to_network_input(batch.images, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            embeddings = self.parallel(images)
        output = self.head(embeddings.float(), batch.labels.to(device), batch.true_labels.to(device))
        self.optimizer.zero_grad(set_to_none=True)
        output.loss.backward()
        self.process.average(weight.grad for weight in self.head.replicated_parameters() if weight.grad is not None)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.backbone.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return output.loss.detach(), output.rows

    def _set_learning_rate(self, step: int) -> float:
        steps_per_epoch = self.loader.sampler.steps_per_epoch
        rate = self.settings.schedule.at(step, steps_per_epoch=steps_per_epoch, epochs=self.settings.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _check(self, epoch: int, losses: list[Tensor], since: int) -> None:
        """Leave when a loss since that step is not finite, or when asked to stop. All processes decide alike."""
        finite = torch.isfinite(torch.stack(losses[since:]))
        if self.process.any(not bool(finite.all())):
            # A process whose own losses are finite names the last step: the faulty one speaks for itself.
            step = since + (int(finite.int().argmin()) if not finite.all() else len(finite) - 1)
            self._fail(epoch, step)
        if self.process.any(self.stop.made):
            raise Stopped(f"stopped in epoch {epoch + 1} of {self.settings.epochs}; {len(self.history)} are saved")

    def _fail(self, epoch: int, step: int) -> NoReturn:
        records = self.loader.records(epoch, step)
        named = ", ".join(records[:MAX_NAMED_RECORDS])
        more = f" and {len(records) - MAX_NAMED_RECORDS} more" if len(records) > MAX_NAMED_RECORDS else ""
        raise TrainingFault(
            f"the loss is not finite in epoch {epoch + 1}, step {step + 1}; the batch holds records {named}{more}. "
            "Look at them, or lower schedule.learning_rate"
        )

    def _write_logs(self, epoch: int, logged: list[tuple[dict[str, NDArray[np.integer]], Rows]]) -> None:
        samples = {name: np.concatenate([columns[name] for columns, _ in logged]) for name in logged[0][0]}
        statistics = {
            column.name: torch.cat([getattr(rows, column.name) for _, rows in logged]).cpu().numpy()
            for column in dataclasses.fields(Rows)
        }
        self.sample_log.append(**samples, **statistics)
        self.sample_log.close_epoch(epoch)
        centres = self.head.class_centres()
        if self.process.is_first:
            self.centre_log.append(epoch, centres.float().cpu().numpy())

    def _save(self) -> None:
        trained = checkpoint.gather_state(self.head, self.optimizer)
        if self.process.is_first:
            content = {
                "run_hash": self.run_hash,
                "history": [dataclasses.asdict(summary) for summary in self.history],
                "backbone": self.backbone.state_dict(),
                **trained,
            }
            model_file.save(self.folder / checkpoint.CHECKPOINT_FILE, content)
        self.process.barrier()

    def _resume(self) -> None:
        path = self.folder / checkpoint.CHECKPOINT_FILE
        if not path.is_file():
            return
        content = model_file.load(path)
        if content.get("run_hash") != self.run_hash:
            raise FileError(path, "is the checkpoint of another run", "remove it to start anew")
        self.backbone.load_state_dict(content["backbone"])
        checkpoint.load_state(content, self.head, self.optimizer)
        self.history = [EpochSummary(**summary) for summary in content["history"]]
