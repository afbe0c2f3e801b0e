"""Decoded images, kept from one epoch to the next where a whole set of them takes little memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 1 << 28


class KeptImages:
    """The pixels of rows that have been decoded before.

    Beside a small network on a CPU, decoding every image anew in every epoch costs a sixth of the time.

    Args:
        num_rows: Number of rows N.
        image_size: H and W.
    """

    def __init__(self, num_rows: int, image_size: tuple[int, int]) -> None:
        self._pixels = np.empty((num_rows, *image_size, 3), dtype=np.uint8)  # takes memory as it is written
        self._is_kept = np.zeros(num_rows, dtype=np.bool_)

    @classmethod
    def if_small(cls, num_rows: int, image_size: tuple[int, int]) -> KeptImages | None:
        """Room for all rows, or None where they would take more than 256 MB."""
        height, width = image_size
        return cls(num_rows, image_size) if 3 * num_rows * height * width <= MOST_BYTES else None

    def images(
        self, rows: NDArray[np.int64], decode: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        """The images of rows [B], uint8 [B, H, W, 3]; ``decode`` is asked for those not seen before."""
        new = rows[~self._is_kept[rows]]
        if new.size:
            self._pixels[new] = decode(new)
            self._is_kept[new] = True
        return self._pixels[rows]
