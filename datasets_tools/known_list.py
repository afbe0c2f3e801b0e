"""Lists of known-bad or corrected labels, such as cleaned versions of real sets publish: read with suspicion."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.key_names import Digests, KeyNames
from datasets_tools.list_rows import as_key, rows_of
from noisebench.errors import FileError
from noisebench.files import sha256_of

NOBODY, UNSAID = -1, -2
"""Codes in ``KnownList.labels``: the image shows nobody of the set; the list names the image and says no label."""

_NOBODY_WORDS = ("-1", "noise", "delete")


@dataclass(frozen=True)
class KnownList:
    """What a list says of some images of a set, each image once.

    Attributes:
        path: The list.
        names: The file that gave the images their names, if the list has names.
        keys: Record keys, int64 [K], ascending.
        labels: Corrected labels, int64 [K]: an identity, or ``NOBODY``, or ``UNSAID``.
        lines: Number of the line (in Parquet: the row) that says so, int64 [K], the first being 1.
    """

    path: Path
    names: Path | None
    keys: NDArray[np.int64]
    labels: NDArray[np.int64]
    lines: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path, names: Path | None = None) -> KnownList:
        """Read a list, in any of the formats of ``list_rows``.

        The first column says which image: its record's key, or with ``names`` its name. The second is the corrected
        label: an identity from 0 on; -1, "noise" or "delete" for an image that shows nobody of the set; or nothing at
        all.

        Args:
            path: The list.
            names: Which key has which name, in the same formats: the key first, the name last, such as an im2rec .lst.

        Raises:
            FileError: A file is missing, is no list, names an unknown image, or contradicts itself; the line is named.
        """
        key_names = KeyNames.read(names) if names is not None else None
        keys, images, labels, lines = array("q"), Digests(), array("q"), array("q")
        for line, (image, *said) in tqdm(rows_of(path), desc="reading the list", unit="line", delay=2, disable=None):
            if len(said) > 1:
                raise FileError(
                    path, f"line {line}: {len(said) + 1} columns, expected an image and its corrected label"
                )
            if key_names is None:
                keys.append(as_key(path, line, image))
            else:
                images.append(image)
            labels.append(_label(path, line, said[0] if said else ""))
            lines.append(line)
        found = np.array(keys) if key_names is None else _keys_of(path, key_names, images)
        return cls(path, names, *_each_once(path, found, np.array(labels), np.array(lines)))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the list's file."""
        return sha256_of(self.path)


def _keys_of(path: Path, names: KeyNames, images: Digests) -> NDArray[np.int64]:
    """The keys of the images that a list names."""
    keys = names.keys_of(images.finish())
    unknown = np.flatnonzero(keys < 0)
    if len(unknown):
        line, fields = next(islice(rows_of(path), int(unknown[0]), None))
        raise FileError(path, f"line {line}: no image is called {fields[0][:80]!r} in the file of names")
    return keys


def _label(path: Path, line: int, text: str) -> int:
    if not text:
        return UNSAID
    if text.lower() in _NOBODY_WORDS:
        return NOBODY
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        expected = f"expected a label from 0 on, or {', '.join(_NOBODY_WORDS)}"
        raise FileError(path, f"line {line}: the corrected label is {text[:80]!r}, {expected}")
    return int(text)


def _each_once(
    path: Path, keys: NDArray[np.int64], labels: NDArray[np.int64], lines: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The columns in the order of the keys, without lines that only say again what an earlier one said."""
    order = np.argsort(keys, kind="stable")
    keys, labels, lines = keys[order], labels[order], lines[order]
    again = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    contrary = again[labels[again] != labels[again - 1]]
    if len(contrary):
        second = contrary[np.argmin(lines[contrary])]
        problem = f"line {lines[second]}: contradicts line {lines[second - 1]} on the label of record {keys[second]}"
        raise FileError(path, problem, "keep one of the two")
    return np.delete(keys, again), np.delete(labels, again), np.delete(lines, again)
