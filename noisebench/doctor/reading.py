"""How fast the images of a data set are read and decoded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from noisebench.doctor.finding import Finding, Surroundings
from noisebench.errors import UserError

if TYPE_CHECKING:
    from noisebench.formats.training_set import TrainingSet

MOST_IMAGES = 2048
BATCH_SIZE = 128


def reading(surroundings: Surroundings) -> Iterator[Finding]:
    """Images a second, from the disk and through the decoder, of records spread over the set."""
    from noisebench.formats.data_source import open_data

    if surroundings.data is None:
        return
    try:
        faces = open_data(surroundings.data)
        read, size, decoded = _speeds(faces, threads=len(os.sched_getaffinity(0)))
    except UserError as error:
        meaning = f"no bench can read it: see 'noisebench data verify {surroundings.data}'"
        yield Finding("reading", "fail", str(error), meaning)
        return
    found = f"{read:,.0f} images/s read ({size * read / 1e6:,.0f} MB/s), {decoded:,.0f} images/s decoded"
    epoch = f"the {len(faces.keys):,} images of {surroundings.data} at {min(read, decoded):,.0f} images/s at most"
    if read < decoded:
        meaning = f"training sees {epoch}: the disk is the brake; copy the set to a local one"
        yield Finding("reading", "warn", found, meaning)
    else:
        yield Finding("reading", "ok", found, f"training sees {epoch}: {len(faces.keys) / decoded:,.1f} s an epoch")


def _speeds(faces: TrainingSet, threads: int) -> tuple[float, float, float]:
    """Images read a second, their mean size in bytes, and images read and decoded a second."""
    import numpy as np

    step = max(1, len(faces.keys) // MOST_IMAGES)
    keys = faces.keys[::step][:MOST_IMAGES].tolist()
    start = time.perf_counter()
    num_bytes = sum(len(bytes(faces.jpeg(key))) for key in keys)
    read = time.perf_counter() - start
    out = np.empty((BATCH_SIZE, *faces.image_size, 3), dtype=np.uint8)
    start = time.perf_counter()
    for first in range(0, len(keys), BATCH_SIZE):
        batch = keys[first : first + BATCH_SIZE]
        faces.read_images(batch, out[: len(batch)], threads)
    decoded = time.perf_counter() - start
    return len(keys) / read, num_bytes / len(keys), len(keys) / decoded
