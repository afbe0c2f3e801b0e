"""Augmentations, drawn by counter from (seed, epoch, sample): the same for any number of ranks or threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noisebench.noise.counter import bits


def flip_mask(seed: int, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples are mirrored left to right in this epoch, [B]: each with probability one half."""
    return (bits(seed, f"flip/{epoch}", rows) & np.uint64(1)).astype(np.bool_)
