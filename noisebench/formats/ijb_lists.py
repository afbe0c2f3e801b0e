"""The lists in the ``meta`` folder of IJB-B and IJB-C, as InsightFace lays them out (X is b or c).

| file | a line |
| --- | --- |
| ``ijbX_face_tid_mid.txt`` | image, template, medium |
| ``ijbX_name_5pts_score.txt`` | image, five landmarks x y in pixels, detector score; in the same order |
| ``ijbX_template_pair_label.txt`` | template, template, 1 for one person or 0 |
| ``ijbX_1N_gallery_*.csv`` and ``ijbX_1N_probe_mixed.csv`` | template, subject, and more; the first line is a header |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats import plain_text

NUM_LANDMARKS = 5


@dataclass(frozen=True, eq=False)
class Faces:
    """Detected faces.

    Attributes:
        names: N image files.
        landmarks: float64 [N, 5, 2], x and y in pixels: eyes, nose, corners of the mouth.
        scores: float64 [N], the detector's.
    """

    names: list[str]
    landmarks: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subjects:
    """Who the templates of a gallery or of the probes are.

    Attributes:
        templates: int64 [T], ascending, each once.
        subjects: int64 [T].
    """

    templates: NDArray[np.int64]
    subjects: NDArray[np.int64]


def parse_faces(path: Path, data: bytes) -> Faces:
    """The faces in ``ijbX_name_5pts_score.txt``.

    Raises:
        FileError: A line is not a name, ten finite numbers and a finite score.
    """
    names, numbers = [], []
    for line, text in enumerate(plain_text.lines_of(path, data), start=1):
        if not text.strip():
            continue
        name, *fields = text.split()
        try:
            values = [float(field) for field in fields]
        except ValueError:
            values = []
        if len(values) != 2 * NUM_LANDMARKS + 1 or not np.isfinite(values).all():
            raise FileError(path, f"line {line} is {text[:80]!r}; expected a name, ten coordinates and a score")
        names.append(name)
        numbers.append(values)
    if not names:
        raise FileError(path, "lists no faces")
    table = np.array(numbers)
    return Faces(names, table[:, :-1].reshape(-1, NUM_LANDMARKS, 2), table[:, -1])


def parse_media(path: Path, data: bytes, names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Template and medium of each face, int64 [N] each, in ``ijbX_face_tid_mid.txt``.

    Args:
        path: Where the bytes are from, for messages.
        data: The text.
        names: The images that the list has to be of, in order.

    Raises:
        FileError: A line is faulty, or is of another image.
    """
    templates, media = plain_text.number_columns(path, data, (1, 2))
    found = [line.split()[0] for line in plain_text.lines_of(path, data) if line.strip()]
    if len(found) != len(names):
        raise FileError(path, f"lists {len(found)} images, the list of landmarks {len(names)}")
    for number, (one, other) in enumerate(zip(found, names, strict=True), start=1):
        if one != other:
            raise FileError(path, f"image {number} is {one[:80]!r}, in the list of landmarks {other[:80]!r}")
    return templates, media


def parse_pairs(path: Path, data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Both templates of each pair, int64 [P], and whether they are of one person, bool [P].

    Raises:
        FileError: A line is faulty, or all pairs are of one kind.
    """
    first, second, label = plain_text.number_columns(path, data, (0, 1, 2))
    wrong = (label != 0) & (label != 1)
    if wrong.any():
        raise FileError(path, f"pair {np.argmax(wrong) + 1} has label {label[np.argmax(wrong)]}; expected 0 or 1")
    same = label == 1
    if same.all() or not same.any():
        kind = "one person" if same.all() else "two people"
        raise FileError(path, f"all {len(same)} pairs are of {kind}: verification needs both kinds")
    return first, second, same


def parse_subjects(path: Path, data: bytes) -> Subjects:
    """The templates of a gallery or of the probes; a template may stand in many lines, one an image.

    Raises:
        FileError: A line is faulty, or a template is of two subjects.
    """
    template, subject = plain_text.number_columns(path, data, (0, 1), separator=",", header=True)
    templates, first, which = np.unique(template, return_index=True, return_inverse=True)
    subjects = subject[first]
    differing = subjects[which] != subject
    if differing.any():
        raise FileError(path, f"template {template[np.argmax(differing)]} is of two subjects")
    return Subjects(templates, subjects)
