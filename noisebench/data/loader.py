"""Batches for training, decoded by threads while the step before them runs."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisebench.data.augment import flip_mask
from noisebench.data.dataset import NoisyFaces
from noisebench.data.sampler import BatchSampler

PREFETCH = 2
"""Batches prepared ahead: one being decoded, one waiting."""


@dataclass(frozen=True)
class Batch:
    """One rank's share of a step, on the host.

    Attributes:
        rows: Manifest rows, int64 [B].
        images: RGB, uint8 [B, H, W, 3], not yet mirrored.
        labels: Labels to train with, int64 [B].
        true_labels: Whom the images show, -1 for nobody of the set; int64 [B]. For logs only.
        flip: Which images to mirror, bool [B].
    """

    rows: Tensor
    images: Tensor
    labels: Tensor
    true_labels: Tensor
    flip: Tensor


@dataclass(frozen=True)
class Loader:
    """Iterate over the batches of an epoch.

    Args:
        faces: Images and labels.
        sampler: Order and share of this rank.
        flip_seed: Named seed of the mirroring; None mirrors nothing.
        threads: Decoding threads.
    """

    faces: NoisyFaces
    sampler: BatchSampler
    flip_seed: int | None
    threads: int

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, in order."""
        rows = self.sampler.batches(epoch)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as background:
            waiting: deque[Future[Batch]] = deque()
            try:
                for upcoming in itertools.islice(rows, PREFETCH):
                    waiting.append(background.submit(self._prepare, epoch, upcoming))
                while waiting:
                    batch = waiting.popleft().result()
                    for upcoming in itertools.islice(rows, 1):
                        waiting.append(background.submit(self._prepare, epoch, upcoming))
                    yield batch
            finally:
                for future in waiting:
                    future.cancel()

    def _prepare(self, epoch: int, rows: NDArray[np.int64]) -> Batch:
        flip = np.zeros(len(rows), np.bool_) if self.flip_seed is None else flip_mask(self.flip_seed, epoch, rows)
        return Batch(
            rows=torch.from_numpy(rows),
            images=torch.from_numpy(self.faces.images(rows, self.threads)),
            labels=torch.from_numpy(self.faces.labels(rows)),
            true_labels=torch.from_numpy(self.faces.true_labels(rows)),
            flip=torch.from_numpy(flip),
        )


def to_network_input(images: Tensor, flip: Tensor, device: torch.device) -> Tensor:
    """Move a uint8 batch [B, H, W, 3] to the device, mirror it there, and scale it to [-1, 1].

    Returns:
        float32 [B, 3, H, W] in channels_last memory: (x / 255 - 0.5) / 0.5.
    """
    pixels = images.to(device, non_blocking=True)
    mirrored = flip.to(device, non_blocking=True)[:, None, None, None]
    pixels = torch.where(mirrored, pixels.flip(2), pixels)  # while a pixel is still one byte
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
