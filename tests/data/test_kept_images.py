"""Kept images are those decoded, each decoded once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noisebench.data.kept_images import MOST_BYTES, KeptImages


def _image(row: int) -> NDArray[np.uint8]:
    return np.random.default_rng(row).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def test_every_image_is_decoded_once_and_is_the_same_ever_after() -> None:
    asked: list[int] = []

    def decode(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        asked.extend(rows.tolist())
        return np.stack([_image(row) for row in rows.tolist()])

    kept = KeptImages(10, (4, 5))
    for batch in ([3, 1, 7], [1, 2, 3], [9, 7, 0], [0, 1, 2]):
        found = kept.images(np.array(batch), decode)
        np.testing.assert_array_equal(found, np.stack([_image(row) for row in batch]))
        found[:] = 0  # what is done with a batch must not reach the kept images
    assert sorted(asked) == [0, 1, 2, 3, 7, 9]


def test_a_large_set_is_not_kept() -> None:
    fitting = MOST_BYTES // (3 * 112 * 112)
    assert KeptImages.if_small(fitting, (112, 112)) is not None
    assert KeptImages.if_small(fitting + 1, (112, 112)) is None
