"""The embedded data set: procedural faces as a train set, an outlier set and verification pairs, all of other people.

Every person and every photograph is drawn from a generator of its own, keyed by (seed, role, identity, image). So the
bytes do not depend on the number of processes, any image can be made alone, and asking for more identities or more
images leaves the first ones as they were.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.face_population import draw_capture, draw_identity
from datasets_tools.face_renderer import Head
from noisebench.errors import UserError
from noisebench.files import whole_folder
from noisebench.formats import jpeg, verification_bin
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.noise.counter import derive_seed

VERIFICATION_NAME = "synth_unseen.bin"
VERIFICATION_IMAGES = 12  # of each person
FOLDS = 10


@dataclass(frozen=True)
class _Person:
    """The photographs of one person, as a task for a process."""

    seed: int
    role: str
    identity: int
    images: int
    size: int

    def generator(self, *image: int) -> np.random.Generator:
        """The generator of the person, or of one photograph."""
        return _generator(self.seed, self.role, self.identity, *image)


def make_faces(
    out: Path,
    *,
    identities: int = 240,
    images: int = 24,
    seed: int = 0,
    pairs: int = 3000,
    image_size: int = 112,
    workers: int | None = None,
    progress: bool = True,
) -> None:
    """Make the whole synthetic data set in the folder ``out``, or nothing.

    Written are ``train.rec``, ``train.idx`` and ``property`` (``identities`` x ``images`` photographs), ``outliers/``
    (two thirds as many people, three quarters as many photographs each: enough to replace half of the train set), the
    verification pairs ``synth_unseen.bin`` and ``contact_sheet.png``. Nobody appears in two of them. The same arguments
    give the same bytes with the same versions of NumPy and OpenCV, whatever the number of ``workers``.

    Args:
        out: A folder that does not exist yet, or an empty one.
        identities: People in the train set.
        images: Photographs of each.
        seed: Any integer; another seed is another population.
        pairs: Verification pairs, in 10 folds of people of their own; half of each fold is of one person.
        image_size: Side of the square photographs in pixels.
        workers: Processes; None takes one for each processor.
        progress: Show a progress bar, where there is a terminal.

    Raises:
        UserError: A number is too small, or ``out`` is in use or cannot be written.
    """
    _check(identities, images, pairs, image_size)

    def people(role: str, count: int, each: int) -> list[_Person]:
        return [_Person(seed, role, number, each, image_size) for number in range(count)]

    train = people("train", identities, images)
    outliers = people("outlier", -(-identities * 2 // 3), -(-images * 3 // 4))
    unseen = people("verification", FOLDS * max(2, pairs // (FOLDS * VERIFICATION_IMAGES)), VERIFICATION_IMAGES)
    size = (image_size, image_size)
    with whole_folder(out) as folder, closing(_photograph(train + outliers + unseen, workers, progress)) as photographs:
        write_face_set(folder, _labelled(photographs, train), len(train), size)
        write_face_set(folder / "outliers", _labelled(photographs, outliers), len(outliers), size)
        _write_pairs(folder / VERIFICATION_NAME, list(photographs), pairs, _generator(seed, "pairs"))
        contact_sheet(FaceSet.open(folder), folder / "contact_sheet.png")


def contact_sheet(face_set: FaceSet, path: Path, rows: int = 8, columns: int = 12) -> None:
    """Write the first ``columns`` photographs of the first ``rows`` identities of a face set as one picture."""
    height, width = face_set.image_size
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for row in range(min(rows, face_set.num_classes)):
        for column, key in enumerate(face_set.keys[face_set.labels == row][:columns]):
            top, left = row * height, column * width
            sheet[top : top + height, left : left + width] = face_set.image(int(key))
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())


def photograph(seed: int, role: str, identity: int, image: int, size: int = 112) -> bytes:
    """One photograph, made alone: the JPEG file that is in the data set.

    Args:
        seed: The seed of the data set.
        role: "train", "outlier" or "verification".
        identity: Number of the person, from 0.
        image: Number of the photograph, from 0.
        size: Side in pixels.
    """
    person = _Person(seed, role, identity, images=1, size=size)
    return _take(Head(draw_identity(person.generator())), person, image)


def _check(identities: int, images: int, pairs: int, image_size: int) -> None:
    for name, value, least in (("identities", identities, 2), ("images", images, 2), ("image_size", image_size, 32)):
        if value < least:
            raise UserError(f"{name} is {value}: expected at least {least}")
    if pairs < 2 * FOLDS or pairs % (2 * FOLDS):
        raise UserError(f"pairs is {pairs}: expected a multiple of {2 * FOLDS}")


def _photograph(people: list[_Person], workers: int | None, progress: bool) -> Generator[bytes, None, None]:
    """The JPEG files of all photographs, in order, made by several processes."""
    workers = workers or _processors()
    total = sum(person.images for person in people)
    with tqdm(total=total, desc="photographs", unit="image", disable=None if progress else True) as bar:
        for files in _in_processes(people, workers) if workers > 1 else map(_photograph_person, people):
            yield from files
            bar.update(len(files))


def _in_processes(people: list[_Person], workers: int) -> Iterator[list[bytes]]:
    # Fresh processes rather than forked ones: a fork of a process that holds torch's threads may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_process) as pool:
        try:
            yield from pool.map(_photograph_person, people, chunksize=4)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare_process() -> None:
    cv2.setNumThreads(1)  # there is a process for each processor already
    # Once glibc has freed a large block, it keeps smaller ones rather than give them back: a fifth of the time saved.
    np.empty(16 << 20, np.uint8)


def _photograph_person(person: _Person) -> list[bytes]:
    head = Head(draw_identity(person.generator()))
    return [_take(head, person, image) for image in range(person.images)]


def _take(head: Head, person: _Person, image: int) -> bytes:
    capture = draw_capture(person.generator(image))
    return jpeg.encode(head.photograph(capture, person.size), quality=capture.jpeg_quality)


def _write_pairs(path: Path, photographs: list[bytes], pairs: int, generator: np.random.Generator) -> None:
    """Draw the verification pairs: in each fold as many of one person as of two, all of people in no other fold."""
    people = len(photographs) // VERIFICATION_IMAGES // FOLDS
    images = np.arange(people * VERIFICATION_IMAGES)
    first, second = (side.ravel() for side in np.meshgrid(images, images, indexing="ij"))
    same = first // VERIFICATION_IMAGES == second // VERIFICATION_IMAGES
    wanted = pairs // FOLDS // 2
    drawn: list[NDArray[np.int64]] = []
    for fold in range(FOLDS):
        for kind in (same, ~same):
            possible = np.flatnonzero(kind & (first < second))
            chosen = generator.permutation(possible)[:wanted]
            drawn.append(fold * len(images) + np.stack((first[chosen], second[chosen]), axis=1))
    order = np.concatenate(drawn).ravel()
    verification_bin.write(
        path, [photographs[index] for index in order], np.tile(np.repeat([True, False], wanted), FOLDS)
    )


def _labelled(photographs: Iterator[bytes], people: list[_Person]) -> Iterator[tuple[bytes, int]]:
    """The next photographs, with the number of the person as label."""
    for person in people:
        for file in islice(photographs, person.images):
            yield file, person.identity


def _generator(seed: int, *names: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive_seed(seed, "faces", *map(str, names))))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
