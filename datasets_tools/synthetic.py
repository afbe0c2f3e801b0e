"""The embedded data set: procedural faces as a train set, an outlier set and verification pairs, all of other people.

Every person and every photograph is drawn from a generator of its own, keyed by (seed, role, identity, image). So the
bytes do not depend on the number of processes or on interruptions, any image can be made alone, and asking for more
identities or more images leaves the first ones as they were.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.growing_set import GrowingFaceSet, growing_folder
from datasets_tools.resumable import PartialFolder
from datasets_tools.studio import Sitting, Studio, generator, num_processors
from noisebench.errors import UserError
from noisebench.formats import jpeg, verification_bin
from noisebench.formats.face_set import FaceSet
from noisebench.formats.layouts import Layout, layout_for

VERIFICATION_NAME = "synth_unseen.bin"
VERIFICATION_IMAGES = 12  # of each person
FOLDS = 10

_IMAGES_A_SITTING = 32


@dataclass(frozen=True)
class _People:
    """Who is in one of the parts of the data set.

    Attributes:
        seed: The seed of the data set.
        role: "train", "outlier" or "verification".
        identities: How many people.
        images: Photographs of each.
        size: Their side in pixels.
    """

    seed: int
    role: str
    identities: int
    images: int
    size: int

    @property
    def layout(self) -> Layout:
        """The layout that so many photographs are written in."""
        return layout_for(self.identities * self.images, self.identities)

    def sittings(self, first: int) -> Iterator[Sitting]:
        """All photographs from number ``first`` on, cut into sittings."""
        while first < self.identities * self.images:
            identity, image = divmod(first, self.images)
            images = range(image, min(image + _IMAGES_A_SITTING, self.images))
            yield Sitting(self.seed, self.role, identity, images, self.size)
            first += len(images)


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
    """Make the whole synthetic data set in the folder ``out``. If it is stopped, the same call goes on from there.

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
        UserError: A number is too small or too large, or ``out`` is in use or cannot be written.
    """
    _check(identities, images, pairs, image_size)
    num_unseen = FOLDS * max(2, pairs // (FOLDS * VERIFICATION_IMAGES))
    parts = {
        ".": _People(seed, "train", identities, images, image_size),
        "outliers": _People(seed, "outlier", -(-identities * 2 // 3), -(-images * 3 // 4), image_size),
        "unseen": _People(seed, "verification", num_unseen, VERIFICATION_IMAGES, image_size),
    }
    task = {"identities": identities, "images": images, "seed": seed, "pairs": pairs, "image_size": image_size}
    with growing_folder(out, **task) as folder:
        _write_sets(folder, parts, workers or num_processors(), progress)
        unseen = FaceSet.open(folder.path / "unseen")
        _write_pairs(folder.path / VERIFICATION_NAME, unseen, pairs, generator(seed, "pairs"))
        shutil.rmtree(folder.path / "unseen")
        contact_sheet(FaceSet.open(folder.path), folder.path / "contact_sheet.png")


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
    (file,) = Sitting(seed, role, identity, range(image, image + 1), size).photographs()
    return file


def _check(identities: int, images: int, pairs: int, image_size: int) -> None:
    for name, value, least in (("identities", identities, 2), ("images", images, 2), ("image_size", image_size, 32)):
        if value < least:
            raise UserError(f"{name} is {value}: expected at least {least}")
    if image_size > jpeg.MAX_SIDE:
        raise UserError(f"image_size is {image_size}: expected at most {jpeg.MAX_SIDE}")
    if pairs < 2 * FOLDS or pairs % (2 * FOLDS):
        raise UserError(f"pairs is {pairs}: expected a multiple of {2 * FOLDS}")


def _write_sets(folder: PartialFolder, parts: dict[str, _People], workers: int, progress: bool) -> None:
    """Write each part as a face set, except for what is there already."""
    total = sum(people.identities * people.images for people in parts.values())
    with (
        Studio(workers) as studio,
        tqdm(total=total, desc="photographs", unit="image", disable=None if progress else True) as bar,
    ):
        for name, people in parts.items():
            with GrowingFaceSet(folder, name, people.layout) as faces:
                bar.update(faces.num_images)
                with closing(studio.photographs(people.sittings(faces.num_images))) as photographs:
                    for identity, file in photographs:
                        faces.write(file, identity)
                        bar.update()
                faces.finish(np.full(people.identities, people.images), (people.size, people.size))


def _write_pairs(path: Path, unseen: FaceSet, pairs: int, draw: np.random.Generator) -> None:
    """Draw the verification pairs: in each fold as many of one person as of two, all of people in no other fold."""
    photographs = [bytes(unseen.jpeg(int(key))) for key in unseen.keys]
    people = unseen.num_classes // FOLDS
    images = np.arange(people * VERIFICATION_IMAGES)
    first, second = (side.ravel() for side in np.meshgrid(images, images, indexing="ij"))
    same = first // VERIFICATION_IMAGES == second // VERIFICATION_IMAGES
    wanted = pairs // FOLDS // 2
    drawn: list[NDArray[np.int64]] = []
    for fold in range(FOLDS):
        for kind in (same, ~same):
            possible = np.flatnonzero(kind & (first < second))
            chosen = draw.permutation(possible)[:wanted]
            drawn.append(fold * len(images) + np.stack((first[chosen], second[chosen]), axis=1))
    order = np.concatenate(drawn).ravel()
    verification_bin.write(
        path, [photographs[index] for index in order], np.tile(np.repeat([True, False], wanted), FOLDS)
    )
