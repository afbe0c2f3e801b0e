"""MegaFace: FaceScrub's photographs against a million distractors, by images or by feature files.

Both tasks are described in `noisebench.evaluation.distractors`.

A folder with ``facescrub/PERSON/IMAGE`` and ``megaface/A/B/IMAGE``. Either tree holds images, or feature files as the
development kit has them, ``IMAGE`` with a suffix such as ``_arcface.bin``. ``facescrub_list.json`` and
``megaface_list.json``, mappings with the keys "path" and "id" as the kit's own lists, choose some of the images;
without them all are taken.

For MegaFace (R) the folder also has InsightFace's lists of wrong images, ``facescrub_noises.txt`` (file names) and
``megaface_noises.txt`` (paths below ``megaface/``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError, UserError
from noisebench.evaluation.distractors import Distractors, identification_rates, verification_rates
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.files import IMAGE_ENDINGS, SetFolder
from noisebench.evaluation.protocols import Protocol
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.templates import Features, check_finite, unit
from noisebench.formats import feature_bin, plain_text

PROBES, DISTRACTORS = "facescrub", "megaface"
MARK = 100.0
"""The 513th component by which InsightFace marks the features of wrong distractors."""

_FILES_A_BLOCK = 4096


class MegaFace(Protocol):
    """Identification and verification against distractors.

    Attributes:
        features: Suffix of the feature files, such as ``_arcface.bin``; empty where the folder holds images.
        flip: What becomes of the mirror image of an image: "sum", or "none" as BoundaryFace has it.
        noises: "kept": no list is read. "removed", InsightFace's rule: a wrong probe becomes the normalised sum of its
            person's right ones, and a wrong distractor is out of reach. InsightFace's random shift of such probes by up
            to 0.001 is left out, so that the result is the same every time. "zeroed", BoundaryFace's rule: as before,
            but a wrong distractor becomes the zero vector, whose similarity is 0.
    """

    features: str = ""
    flip: Literal["sum", "none"] = "sum"
    noises: Literal["kept", "removed", "zeroed"] = "kept"

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with both trees."""
        return all((path / tree).is_dir() for tree in (PROBES, DISTRACTORS))

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        if not self.features and embedder is None:
            raise UserError(
                "holds images: name a backbone with --checkpoint, or the feature files with features=SUFFIX"
            )
        folder = SetFolder(path)
        names, people = self._images(folder, PROBES)
        wrong = self._wrong(folder, PROBES, [without_ending(PurePosixPath(name).name) for name in names])
        probes = np.concatenate([unit(block) for block in self._vectors(folder, PROBES, names, embedder)])
        probes = replace_by_class(probes, people, wrong)
        names, _ = self._images(folder, DISTRACTORS)
        wrong_distractor = self._wrong(folder, DISTRACTORS, [without_ending(name) for name in names])
        distractors = Distractors(probes, len(names))
        start = 0
        for block in self._vectors(folder, DISTRACTORS, names, embedder):
            distractors.add(self._without_wrong(block, wrong_distractor[start : start + len(block)]))
            start += len(block)
        ranks = identification_rates(probes, people, distractors)
        return TestMetrics(
            sha256=folder.sha256,
            tar_at_far=verification_rates(probes, people, distractors),
            identification={f"rank-{rank}": rate for rank, rate in ranks.items()},
            counts={
                "probes": len(probes),
                "people": len(np.unique(people)),
                "distractors": distractors.num_seen,
                "wrong probes": int(wrong.sum()),
                "wrong distractors": int(wrong_distractor.sum()),
            },
            mean_norm=embedder.mean_norm if embedder and not self.features else None,
            provenance=self.provenance(
                None if self.features else embedder,
                flip="as in the features" if self.features else self.flip,
                fusion="none: one image each, unit length",
            ),
        )

    def _images(self, folder: SetFolder, tree: str) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the images of a tree, relative to it and without the features' suffix, and who each shows."""
        list_name = f"{tree}_list.json"
        if folder.holds(list_name):
            names, ids = parse_list(folder.root / list_name, folder.list_bytes(list_name))
        else:
            found = folder.files(tree, (self.features,) if self.features else IMAGE_ENDINGS)
            names = [name.removeprefix(f"{tree}/").removesuffix(self.features) for name in found]
            ids = [str(PurePosixPath(name).parent) for name in names]
        return names, np.unique(ids, return_inverse=True)[1].astype(np.int64)

    def _wrong(self, folder: SetFolder, tree: str, keys: list[str]) -> NDArray[np.bool_]:
        """Which of the images are on the list of wrong ones of a tree."""
        if self.noises == "kept":
            return np.zeros(len(keys), bool)
        name = f"{tree}_noises.txt"
        lines = plain_text.lines_of(folder.root / name, folder.list_bytes(name))
        entries = [line.strip().split("\t")[-1] for line in lines if line.strip() and not line.startswith("#")]
        listed = set(map(without_ending, entries))
        return np.array([key in listed for key in keys])

    def _vectors(self, folder: SetFolder, tree: str, names: list[str], embedder: Embedder | None) -> Iterator[Features]:
        """Vectors of the images of a tree, block by block, as the files or the backbone give them."""
        paths = (f"{tree}/{name}{self.features}" for name in names)
        if self.features:
            yield from read_features(folder, paths)
        elif embedder is not None:
            start = 0
            for block in embedder.blocks(folder.images(paths), self.flip, len(names)):
                check_finite(block, start)
                start += len(block)
                yield block

    def _without_wrong(self, block: Features, wrong: NDArray[np.bool_]) -> Features:
        """Distractors at unit length, the wrong ones left out or zero, marked ones left out."""
        if self.noises == "zeroed":
            block = np.where(wrong[:, None], np.float32(0), block)
            wrong = np.zeros_like(wrong)
        return unit(block[~wrong & (block[:, -1] != MARK)])


def read_features(folder: SetFolder, names: Iterator[str]) -> Iterator[Features]:
    """The vectors of feature files, float32 [B, D], block by block.

    Raises:
        FileError: A file is missing or none, or is of another length than the first; it is named.
    """
    length = 0
    while chosen := list(islice(names, _FILES_A_BLOCK)):
        vectors = []
        for name in chosen:
            try:
                vectors.append(feature_bin.decode(folder.file_bytes(name)))
            except ValueError as error:
                raise FileError(folder.root / name, f"no feature file: {error}") from error
            length = length or len(vectors[-1])
            if len(vectors[-1]) != length:
                raise FileError(folder.root / name, f"{len(vectors[-1])} components, files before it have {length}")
        yield np.stack(vectors)


def parse_list(path: Path, data: bytes) -> tuple[list[str], list[str]]:
    """Paths and identities in a list of the development kit.

    Raises:
        FileError: It is no such list.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"no valid JSON: {' '.join(str(error).split())[:100]}") from error
    match content:
        case {"path": [*names], "id": [*ids]} if len(names) == len(ids) > 0:
            if all(isinstance(name, str) for name in names) and all(isinstance(each, str | int) for each in ids):
                return names, [str(each) for each in ids]
    raise FileError(path, "expected a mapping of 'path' and 'id' to two lists of one length, of names and identities")


def without_ending(name: str) -> str:
    """A file name without what follows its last dot."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and "/" not in ending else name


def replace_by_class(probes: Features, people: NDArray[np.int64], wrong: NDArray[np.bool_]) -> Features:
    """Probes [P, D] with each wrong one replaced by the normalised sum of its person's right ones.

    Raises:
        UserError: All probes of a person are wrong.
    """
    sums = np.zeros((int(people.max()) + 1, probes.shape[1]), np.float32)
    np.add.at(sums, people[~wrong], probes[~wrong])
    empty = np.setdiff1d(people[wrong], people[~wrong])
    if len(empty):
        raise UserError(f"all probes of {len(empty)} people are on the list of wrong images")
    return np.where(wrong[:, None], unit(sums)[people], probes)
