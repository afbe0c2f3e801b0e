"""Pairs of faces to verify: a ``.bin`` file, or a list of pairs beside its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from noisebench.errors import FileError
from noisebench.evaluation.files import IMAGE_ENDINGS, SetFolder
from noisebench.formats import verification_bin
from noisebench.formats.pairs_list import PAIRS_FILE, read_pairs
from noisebench.formats.verification_bin import VerificationSet

LIST_ENDINGS = (".txt", ".csv", ".lst")


def is_pairs(path: Path) -> bool:
    """Whether a file or folder looks like pairs of faces."""
    return (path / PAIRS_FILE).is_file() if path.is_dir() else path.suffix.lower() in (".bin", *LIST_ENDINGS)


def open_pairs(path: Path, images: Path | None = None) -> VerificationSet:
    """Read pairs of faces.

    Args:
        path: A ``.bin`` file; a list as LFW's ``pairs.txt`` (so are those of SLLFW and RFW) or of lines
            ``path1 path2 1|0|-1``; or a folder with a list called ``pairs.txt``.
        images: Folder of a list's images; None is the folder of the list. Nothing outside of it is read.

    Returns:
        The pairs; the SHA-256 of a list is over the list and its images, each the first time it is named.

    Raises:
        FileError: The file, the list or an image is missing or at fault.
    """
    if path.is_dir():
        path = path / PAIRS_FILE
    if path.suffix.lower() not in LIST_ENDINGS:
        return verification_bin.read(path)
    lists = SetFolder(path.parent)
    lists.list_bytes(path.name)
    folder = SetFolder(images or path.parent)
    read: dict[str, bytes] = {}
    jpegs, same = [], []
    for pair in read_pairs(path):
        for name in (pair.first, pair.second):
            if name not in read:
                read[name] = folder.file_bytes(_with_ending(folder, name) if pair.is_lfw else name)
            jpegs.append(read[name])
        same.append(pair.same)
    if not same:
        raise FileError(path, "lists no pairs")
    name = path.parent.name if path.name == PAIRS_FILE else path.stem
    sha256 = folder.sha256_with(lists)
    return VerificationSet(name, jpegs, np.array(same), sha256)


def _with_ending(folder: SetFolder, name: str) -> str:
    """The name of an LFW image, whose list leaves out the ending."""
    return next((name + ending for ending in IMAGE_ENDINGS if folder.holds(name + ending)), name + IMAGE_ENDINGS[0])
