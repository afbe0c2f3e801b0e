"""One step of training: forward through backbone and head, backward, and the update of their weights.

Nothing here waits for a GPU: what a step comes to stays there, as tensors, until somebody asks for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from noisebench.data.loader import Batch, to_network_input
from noisebench.heads.head import Head, HeadOutput, Rows
from noisebench.training.compiled import compiled
from noisebench.training.distributed import Process
from noisebench.training.optimizer import make_optimizer
from noisebench.training.settings import TrainingSettings
from noisebench.training.watchdog import Phase
from noisebench.training.weight_average import WeightAverage

Columns = dict[str, Tensor]


class Step:
    """A backbone and a head as they are trained on a device, step by step.

    With ``accumulate`` parts, the gradient of a batch is the mean of those of its parts, which is that of the whole
    batch where a sample's loss depends on that sample alone. Batch normalisation takes the statistics of a part; a
    method whose loss joins the samples of a batch (triplets) joins those of a part, and one with a state that follows
    the batches (curricularface, adaface, robustface) sees each part as a batch.

    Args:
        settings: Optimiser, precision, and the options of a step.
        backbone: Images [B, 3, H, W] to embeddings [B, D].
        head: A head of `noisebench.methods.create`.
        process: This process among its peers.
        enter: Is told which phase of the step begins.

    Attributes:
        optimizer: Of the weights of both.
        average: Of the backbone's weights, where the settings ask for one.
        is_compiled: Whether the backbone is compiled.

    Raises:
        UserError: The head cannot take part in such a training.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        backbone: nn.Module,
        head: Head,
        process: Process,
        enter: Callable[[Phase], None],
    ) -> None:
        head.check_training(accumulate=settings.accumulate, num_processes=process.world_size)
        self.settings, self.backbone, self.head, self.process, self._enter = settings, backbone, head, process, enter
        device = process.device
        backbone.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
        head.to(device)
        self._parallel = process.wrap(backbone)
        made = compiled(self._parallel, device) if settings.compile else None
        self.is_compiled = made is not None
        self._network = self._parallel if made is None else made
        self.optimizer = make_optimizer(settings, backbone, head)
        head.attach(self.optimizer)
        self.average = WeightAverage(backbone, settings.ema) if settings.ema is not None else None
        # Layers draw from no other; torch.manual_seed would seed those of all devices there could be.
        self._layers_generator = (
            torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator
        )

    def __call__(self, batch: Batch, *, number: int, learning_rate: float, seed: int) -> tuple[Tensor, Columns]:
        """Train on a batch.

        Args:
            batch: This process's share, in ``accumulate`` parts one after the other.
            number: Of the step, from 0 over the whole run.
            learning_rate: Of this step.
            seed: For layers that draw while training. One a step leaves no random state to keep.

        Returns:
            The loss, a scalar without gradient, and the statistics of each row by name: those of ``Rows``, and
            ``sub_centre`` where a class has several.
        """
        self._layers_generator.manual_seed(seed)
        self.optimizer.zero_grad(set_to_none=True)
        parts = batch.parts(self.settings.accumulate)
        losses, rows = [], []
        for place, part in enumerate(parts, start=1):
            with contextlib.nullcontext() if place == len(parts) else self._without_exchange():
                loss, of_part = self._backward(part, len(part.labels) / len(batch.labels))
            losses.append(loss)
            rows.append(of_part)
        self._update(number, learning_rate)
        joined = {name: torch.cat([of_part[name] for of_part in rows]) for name in rows[0]}
        return torch.stack(losses).sum(), joined

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings, float32 [B, D], of images as the network takes them, in the precision of the training."""
        with self._autocast():
            embeddings: Tensor = self._network(images)
        return embeddings.float()

    def settle_buckets(self, images: Tensor) -> None:
        """Let DistributedDataParallel lay out its buckets as it does after its first backward pass.

        The layout decides in which order more than two addends are summed, so a resumed run must begin with the one it
        had. What this pass does to buffers is undone.

        Args:
            images: Any, as the network takes them.
        """
        if not self.process.is_distributed:
            return
        buffers = {name: buffer.clone() for name, buffer in self.backbone.named_buffers()}
        with self._autocast():
            self._parallel(images).sum().backward()
        self.optimizer.zero_grad(set_to_none=True)
        for name, buffer in self.backbone.named_buffers():
            buffer.copy_(buffers[name])

    def finish(self) -> None:
        """After the last step: the averaged weights, where there are any, take the place of the last ones."""
        if self.average is not None:
            self.average.put_into_module()

    def _backward(self, part: Batch, share: float) -> tuple[Tensor, Columns]:
        """Add the gradients of a part of the batch; its share of the loss is that of its samples."""
        device = self.process.device
        self._enter("forward")
        embeddings = self.embed(to_network_input(part.images, device, part.mirrored))
        self._enter("head")
        labels, true_labels = (tensor.to(device, non_blocking=True) for tensor in (part.labels, part.true_labels))
        output = self.head(embeddings, labels, true_labels)
        self._enter("backward")
        loss = output.loss * share
        loss.backward()
        return loss.detach(), _columns(output)

    def _update(self, number: int, learning_rate: float) -> None:
        self._enter("update")
        self.process.average(weight.grad for weight in self.head.replicated_parameters() if weight.grad is not None)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.backbone.parameters(), self.settings.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        if self.average is not None:
            self.average.update(number)

    def _autocast(self) -> torch.autocast:
        enabled = self.settings.precision == "bfloat16"
        return torch.autocast(self.process.device.type, torch.bfloat16, enabled=enabled)

    def _without_exchange(self) -> contextlib.AbstractContextManager[None]:
        """Gradients stay on the process for now; they are averaged with the last part's."""
        parallel = self._parallel
        return (
            parallel.no_sync()
            if isinstance(parallel, nn.parallel.DistributedDataParallel)
            else contextlib.nullcontext()
        )


def _columns(output: HeadOutput) -> Columns:
    columns = {column.name: getattr(output.rows, column.name) for column in dataclasses.fields(Rows)}
    return columns if output.sub_centre is None else columns | {"sub_centre": output.sub_centre}
