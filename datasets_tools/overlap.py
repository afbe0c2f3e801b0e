"""Identities that two face sets share: by their names, or by the similarity of their class centres.

An outlier set must show nobody of the base set, or "open-set noise" is correct in part. Names are compared as they are
and normalised; centres of embeddings by cosine, where two identities are each other's nearest.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.names import NAMES_FILE, Names
from datasets_tools.neighbours import STEPS, class_directions
from noisebench.errors import FileError, UserError
from noisebench.files import write_text
from noisebench.formats.face_set import FaceSet

_BLOCK_BYTES = 64 << 20
_LINES_SHOWN = 40


@dataclass(frozen=True)
class Shared:
    """An identity of two sets.

    Attributes:
        label_a: Its label in the first set.
        name_a: Its name there, if it is known.
        label_b: Its label in the second set.
        name_b: Its name there.
        by: "name", "normalised name" or "centre": what tells that it is the same.
        cosine: Of the class centres, if they were compared.
    """

    label_a: int
    name_a: str | None
    label_b: int
    name_b: str | None
    by: str
    cosine: float | None = None


@dataclass(frozen=True, eq=False)
class Identities:
    """The identities of a set.

    Attributes:
        path: The set's folder or its names file.
        labels: int32 [N], the images' labels in record order.
        num_classes: Number of labels C.
        names: Name of each label that has an image; empty if they are not known.
    """

    path: Path
    labels: NDArray[np.int32]
    num_classes: int
    names: dict[int, str]

    @classmethod
    def open(cls, path: Path) -> Identities:
        """Open a set's folder, or the names file of a set.

        Raises:
            FileError: It is neither, or damaged.
        """
        if not path.is_dir():
            names = Names.read(path)
            return cls(path, names.labels, int(names.labels.max()) + 1, _names_of_labels(names))
        faces = FaceSet.open(path)
        file = path / NAMES_FILE
        return cls(path, faces.labels, faces.num_classes, _names_of_labels(Names.read(file)) if file.exists() else {})

    def check_named(self) -> None:
        """Check that names are known and are more than numbers.

        Raises:
            FileError: They are not.
        """
        remedy = "--embeddings compares class centres instead"
        if not self.names:
            problem = f"has no {NAMES_FILE}, which 'noisebench data import' writes: its identities' names are not known"
            raise FileError(self.path, problem, remedy)
        if all(name.rpartition("/")[2].isdecimal() for name in self.names.values()):
            raise FileError(self.path, "its identities have numbers, no names", remedy)


def shared_by_name(a: Identities, b: Identities) -> list[Shared]:
    """Identities with the same name, or the same but for case, accents and whatever is neither letter nor digit.

    Raises:
        FileError: The identities of a set have no names.
    """
    for identities in (a, b):
        identities.check_named()
    exact: dict[str, list[int]] = defaultdict(list)
    normalised: dict[str, list[int]] = defaultdict(list)
    for label, name in a.names.items():
        exact[name].append(label)
        normalised[normal_name(name)].append(label)
    normalised.pop("", None)
    found = []
    for label, name in sorted(b.names.items()):
        for other in exact.get(name) or normalised.get(normal_name(name), []):
            by = "name" if a.names[other] == name else "normalised name"
            found.append(Shared(other, a.names[other], label, name, by))
    return found


def shared_by_centre(
    a: Identities, b: Identities, embeddings_a: Path, embeddings_b: Path, threshold: float
) -> list[Shared]:
    """Pairs of identities whose centres are each other's nearest, with a cosine of at least the threshold.

    Compares block after block of the first set with the second, so no [C, C] matrix is ever made.

    Args:
        a: The first set.
        b: The second set.
        embeddings_a: An .npy file of the first set's class centres [C, D], or of embeddings [N, D] in record order.
        embeddings_b: The same of the second set, by the same model.
        threshold: Above 0, up to 1; which is right depends on the model.

    Returns:
        The pairs, the most similar first.

    Raises:
        UserError: A file is not what it should be, the two differ in D, or the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise UserError(f"--threshold is {threshold}: expected a cosine above 0, at most 1")
    centres_a, centres_b = (
        class_directions(path, identities.labels, identities.num_classes)
        for identities, path in ((a, embeddings_a), (b, embeddings_b))
    )
    if centres_a.shape[1] != centres_b.shape[1]:
        problem = f"vectors of {centres_b.shape[1]} numbers, those of {embeddings_a} have {centres_a.shape[1]}"
        raise FileError(embeddings_b, problem, "give embeddings of one model")
    labels_a, labels_b, products = mutual_nearest(centres_a, centres_b)
    cosines = np.clip(products / STEPS**2, -1, 1)  # directions are rounded, and so not quite at length 1
    pairs = [
        Shared(int(one), a.names.get(int(one)), int(other), b.names.get(int(other)), "centre", round(float(cosine), 4))
        for one, other, cosine in zip(labels_a, labels_b, cosines, strict=True)
        if cosine >= threshold
    ]
    return sorted(pairs, key=lambda pair: (-(pair.cosine or 0), pair.label_b))


def mutual_nearest(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows of two arrays, [A, D] and [B, D], that have each other's highest inner product; ties go to the first row.

    Returns:
        Rows of ``a``, rows of ``b``, both int64 [M], and their inner products, float32 [M].
    """
    best_of_b, nearest_to_b = np.full(len(b), -np.inf, dtype=np.float32), np.zeros(len(b), dtype=np.int64)
    nearest_to_a = np.zeros(len(a), dtype=np.int64)
    step = max(1, _BLOCK_BYTES // (4 * len(b)))
    with tqdm(total=len(a), desc="centres", unit="identity", delay=2, disable=None) as bar:
        for first in range(0, len(a), step):
            similar = a[first : first + step] @ b.T
            nearest_to_a[first : first + step] = similar.argmax(axis=1)
            nearest = similar.argmax(axis=0)
            best = similar[nearest, np.arange(len(b))]
            better = best > best_of_b
            best_of_b[better], nearest_to_b[better] = best[better], first + nearest[better]
            bar.update(len(similar))
    rows = np.flatnonzero(nearest_to_a[nearest_to_b] == np.arange(len(b)))
    return nearest_to_b[rows], rows, best_of_b[rows]


def normal_name(name: str) -> str:
    """A name without case, accents, spaces and punctuation: "José_Núñez" and "jose nunez" are one."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def write_exclusion(path: Path, shared: Sequence[Shared], a: Path, b: Path) -> None:
    """Write the second set's labels as ``--exclude`` of ``noisebench data noise`` reads them: one a line."""
    lines = [f"# identities of {b} that are in {a} too"]
    by_label: dict[int, list[Shared]] = defaultdict(list)
    for pair in shared:
        by_label[pair.label_b].append(pair)
    for label, pairs in sorted(by_label.items()):
        lines.append(f"{label}  # {'; '.join(_described(pair) for pair in pairs)}")
    write_text(path, "\n".join(lines) + "\n")


def as_table(shared: Sequence[Shared]) -> str:
    """The first pairs as aligned text, and how many there are."""
    rows = [("label A", "name A", "label B", "name B", "same by")]
    for pair in shared[:_LINES_SHOWN]:
        by = pair.by if pair.cosine is None else f"{pair.by}, cosine {pair.cosine:.3f}"
        rows.append((str(pair.label_a), _shown(pair.name_a), str(pair.label_b), _shown(pair.name_b), by))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(shared) > _LINES_SHOWN:
        lines.append(f"and {len(shared) - _LINES_SHOWN} more, which --json and --out tell")
    total = f"{len({pair.label_b for pair in shared})} identities of B are in A too"
    return "\n".join([*lines, total] if shared else [total])


def as_json(shared: Sequence[Shared]) -> str:
    """All pairs as a JSON list."""
    return json.dumps([asdict(pair) for pair in shared], indent=1)


def _described(pair: Shared) -> str:
    how = pair.by if pair.cosine is None else f"cosine {pair.cosine:.4f}"
    return f"{_shown(pair.name_b)} = {pair.label_a} {_shown(pair.name_a)} ({how})"


def _shown(name: str | None) -> str:
    """A name in one line of a file or terminal, whatever is in it."""
    return "-" if name is None else "".join(letter if letter.isprintable() else "?" for letter in name)[:60]


def _names_of_labels(names: Names) -> dict[int, str]:
    labels, rows = np.unique(names.labels, return_index=True)
    return dict(zip(labels.tolist(), names.identities.take(rows).to_pylist(), strict=True))
