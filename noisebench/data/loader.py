"""Batches for training, decoded by threads while the step before them runs."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisebench.data.augment import flip_mask, mirror
from noisebench.data.dataset import UNKNOWN_IDENTITY, NoisyFaces
from noisebench.data.degrade import Degradations, degrade
from noisebench.data.sampler import BatchSampler
from noisebench.noise.per_batch import BatchNoise, EpochNoise, Exposures
from noisebench.noise.schema import FROM_OUTLIERS, OPEN

PREFETCH = 2
"""Batches prepared ahead: one being decoded, one waiting."""


@dataclass(frozen=True)
class Batch:
    """One rank's share of a step, on the host.

    Attributes:
        rows: Manifest rows, int64 [B].
        images: RGB, uint8 [B, H, W, 3].
        labels: Labels to train with, int64 [B].
        true_labels: Whom the images show, -1 for nobody of the set; int64 [B]. For logs only.
        exposures: What noise by batch did to the samples this time; None where noise is a property of the sample.
        mirrored: Which images the device is yet to mirror, bool [B]; None where the loader has done so.
    """

    rows: Tensor
    images: Tensor
    labels: Tensor
    true_labels: Tensor
    exposures: Exposures | None = None
    mirrored: Tensor | None = None

    def parts(self, count: int) -> list[Batch]:
        """The batch as so many smaller ones, one after the other, without what is logged of it alone."""
        rows, images, labels, true_labels = (
            tensor.chunk(count) for tensor in (self.rows, self.images, self.labels, self.true_labels)
        )
        mirrored = [None] * count if self.mirrored is None else self.mirrored.chunk(count)
        parts = zip(rows, images, labels, true_labels, mirrored, strict=True)
        return [Batch(row, image, label, true, mirrored=mask) for row, image, label, true, mask in parts]

    def logged(self) -> dict[str, NDArray[np.integer]]:
        """What the sample log is told of the batch, by column."""
        columns: dict[str, NDArray[np.integer]] = {"row": self.rows.numpy()}
        if self.exposures is not None:
            columns["exposure"] = self.exposures.kind
            columns["label"] = self.labels.numpy()
            columns["outlier_index"] = self.exposures.outlier_index
        return columns


@dataclass(frozen=True)
class Loader:
    """Iterate over the batches of an epoch.

    Args:
        faces: Images and labels.
        sampler: Order and share of this rank.
        flip_seed: Named seed of the mirroring; None mirrors nothing.
        threads: Decoding threads.
        augment: How often images are degraded before they are mirrored; None degrades nothing.
        augment_seed: Named seed of that.
        pinned: Whether batches lie in pinned memory, from which a GPU copies them while it computes.
        mirrors: Whether images are mirrored here, rather than by the device.

    Raises:
        UserError: The noise is drawn by batch, and the sampler's batches do not fit it.
    """

    faces: NoisyFaces
    sampler: BatchSampler
    flip_seed: int | None
    threads: int
    augment: Degradations | None = None
    augment_seed: int = 0
    pinned: bool = False
    mirrors: bool = True

    def __post_init__(self) -> None:
        _ = self.noise

    @cached_property
    def noise(self) -> BatchNoise | None:
        """Noise by batch, where there is any."""
        origin = self.faces.manifest.origin
        return BatchNoise.of(origin.recipe, origin.seed, self.sampler.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, in order, from that step on."""
        noise = self._epoch_noise(epoch)
        batches = enumerate(self.sampler.batches(epoch, first_step), start=first_step)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as background:
            waiting: deque[Future[Batch]] = deque()
            try:
                for upcoming in itertools.islice(batches, PREFETCH):
                    waiting.append(background.submit(self._prepare, epoch, noise, *upcoming))
                while waiting:
                    batch = waiting.popleft().result()
                    for upcoming in itertools.islice(batches, 1):
                        waiting.append(background.submit(self._prepare, epoch, noise, *upcoming))
                    yield batch
            finally:
                for future in waiting:
                    future.cancel()

    def records(self, epoch: int, step: int) -> list[str]:
        """The records that all ranks together read at a step, as messages name them."""
        noise, batch_size = self._epoch_noise(epoch), self.sampler.batch_size
        exposures = noise.at(np.arange(step * batch_size, (step + 1) * batch_size)) if noise is not None else None
        sources = zip(*self.faces.sources(self.sampler.global_batch(epoch, step), exposures), strict=True)
        return [f"outlier {key}" if source == FROM_OUTLIERS else f"{key}" for source, key in sources]

    def _epoch_noise(self, epoch: int) -> EpochNoise | None:
        if self.noise is None:
            return None
        outliers = self.faces.outliers
        return self.noise.in_epoch(epoch, outliers.keys if outliers is not None else np.empty(0, dtype=np.int64))

    def _prepare(self, epoch: int, noise: EpochNoise | None, step: int, rows: NDArray[np.int64]) -> Batch:
        labels, true_labels, exposures = self.faces.labels(rows), self.faces.true_labels(rows), None
        if noise is not None:
            exposures = noise.at(self.sampler.positions(step))
            labels = exposures.labels(labels, self.faces.base.num_classes)
            true_labels = np.where(exposures.kind == OPEN, UNKNOWN_IDENTITY, true_labels)
        images = self.faces.images(rows, self.threads, exposures)
        if self.augment is not None:
            degrade(images, self.augment, self.augment_seed, epoch, rows)
        mask = None if self.flip_seed is None else flip_mask(self.flip_seed, epoch, rows)
        if mask is not None and self.mirrors:
            mirror(images, mask)
        return Batch(
            rows=torch.from_numpy(rows),
            images=self._tensor(images),
            labels=self._tensor(labels),
            true_labels=self._tensor(true_labels),
            exposures=exposures,
            mirrored=None if mask is None or self.mirrors else self._tensor(mask),
        )

    def _tensor(self, values: NDArray[np.integer] | NDArray[np.bool_]) -> Tensor:
        tensor = torch.from_numpy(values)
        return tensor.pin_memory() if self.pinned else tensor


def to_network_input(images: Tensor, device: torch.device, mirrored: Tensor | None = None) -> Tensor:
    """Move a uint8 batch [B, H, W, 3] to the device, mirror some of it there, and scale it to [-1, 1].

    Args:
        images: The batch.
        device: Where to.
        mirrored: Which images are mirrored left to right, bool [B]; None for none.

    Returns:
        float32 [B, 3, H, W] in channels_last memory: (x / 255 - 0.5) / 0.5.
    """
    images = images.to(device, non_blocking=True)
    if mirrored is not None:
        chosen = mirrored.to(device, non_blocking=True)[:, None, None, None]
        images = torch.where(chosen, images.flip(2), images)
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
