"""Takes the photographs of the synthetic data set: a person sits for some at a time, in one of several processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice

import numpy as np

from datasets_tools.face_population import draw_capture, draw_identity
from datasets_tools.face_renderer import Head
from datasets_tools.worker_pool import WorkerPool
from noisebench.errors import UserError
from noisebench.formats import jpeg
from noisebench.noise.counter import derive_seed

_AHEAD = 4  # sittings for each process, so that none waits for the slowest


@dataclass(frozen=True)
class Sitting:
    """Some photographs of one person, taken by one process.

    Attributes:
        seed: The seed of the data set.
        role: "train", "outlier" or "verification".
        identity: Number of the person, from 0.
        images: Numbers of the photographs.
        size: Their side in pixels.
    """

    seed: int
    role: str
    identity: int
    images: range
    size: int

    def photographs(self) -> list[bytes]:
        """The JPEG files."""
        head = Head(draw_identity(generator(self.seed, self.role, self.identity)))
        return [self._take(head, image) for image in self.images]

    def _take(self, head: Head, image: int) -> bytes:
        capture = draw_capture(generator(self.seed, self.role, self.identity, image))
        return jpeg.encode(head.photograph(capture, self.size), quality=capture.jpeg_quality)


class Studio:
    """Processes that take photographs. Use it in a ``with`` block.

    Args:
        workers: How many processes; 1 is this one.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def __enter__(self) -> Studio:
        if self._workers > 1:
            self._pool = WorkerPool(self._workers, _prepare_process)
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers > 1:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def photographs(self, sittings: Iterator[Sitting]) -> Generator[tuple[int, bytes], None, None]:
        """The photographs of all sittings in order, each with the number of the person."""
        for sitting, files in self._ahead(sittings) if self._workers > 1 else _at_once(sittings):
            for file in files:
                yield sitting.identity, file

    def _ahead(self, sittings: Iterator[Sitting]) -> Iterator[tuple[Sitting, list[bytes]]]:
        """The sittings' results in order, only so many ahead that memory does not grow with the number of sittings."""
        waiting: deque[tuple[Sitting, Future[list[bytes]]]] = deque()
        try:
            while True:
                for sitting in islice(sittings, self._workers * _AHEAD - len(waiting)):
                    waiting.append((sitting, self._pool.submit(sitting.photographs)))
                if not waiting:
                    return
                sitting, future = waiting.popleft()
                yield sitting, future.result()
        except BrokenProcessPool as error:
            raise UserError("a worker process died, perhaps for lack of memory: take fewer --workers") from error


def _at_once(sittings: Iterator[Sitting]) -> Iterator[tuple[Sitting, list[bytes]]]:
    return ((sitting, sitting.photographs()) for sitting in sittings)


def _prepare_process() -> None:
    # Once glibc has freed a large block, it keeps smaller ones rather than give them back: a fifth of the time saved.
    np.empty(16 << 20, np.uint8)


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for each person, photograph and purpose."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, "faces", *map(str, names))))


def num_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
