"""Small valid copies, of synthetic faces, of the test sets that cannot be had: to try a protocol, and to test it.

Each kind is laid out as the protocol of that name reads it (see `noisebench.evaluation.protocols`). People and
photographs are those of `datasets_tools.synthetic`, so that the same arguments give the same faces.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets_tools.studio import Sitting, generator
from noisebench.errors import UserError, did_you_mean
from noisebench.evaluation.alignment import ALIGNED_SIDE, TEMPLATE
from noisebench.files import whole_folder
from noisebench.formats import jpeg

LOOSE_SIDE = 200  # of the images of IJB, in which a face stands somewhere
FIRST_SUBJECT, FIRST_TEMPLATE = 100, 1000


class Album(NamedTuple):
    """Photographs, JPEG files: for each person a list, and of others one each."""

    people: list[list[bytes]]
    others: list[bytes]


def make_test_set(
    kind: str, out: Path, *, people: int = 8, images: int = 6, seed: int = 0, image_size: int = 112
) -> None:
    """Write a small test set into the folder ``out``, whole or not at all.

    Args:
        kind: One of `kinds`.
        out: A folder that does not exist yet, or an empty one.
        people: How many, at least 4; there are twice as many distractors.
        images: Photographs of each, at least 6.
        seed: Another seed is another population.
        image_size: Side of the photographs in pixels; those of IJB are 112 in a larger image.

    Raises:
        UserError: The kind is unknown, or a number is too small.
    """
    if kind not in _KINDS:
        raise UserError(f"unknown kind of test set '{kind}': {did_you_mean(kind, _KINDS)}")
    for name, value, least in (("people", people, 4), ("images", images, 6), ("image_size", image_size, 32)):
        if value < least:
            raise UserError(f"{name} is {value}: expected at least {least}")
    side = ALIGNED_SIDE if kind == "ijb" else image_size
    with whole_folder(out) as folder:
        album = Album(
            [Sitting(seed, "verification", person, range(images), side).photographs() for person in range(people)],
            [Sitting(seed, "outlier", person, range(1), side).photographs()[0] for person in range(2 * people)],
        )
        _KINDS[kind](folder, album, generator(seed, kind))


def kinds() -> list[str]:
    """The kinds of test sets that can be made."""
    return sorted(_KINDS)


def loose(face: bytes, draw: np.random.Generator) -> tuple[bytes, NDArray[np.float64]]:
    """A face of 112x112 somewhere in a larger image, turned and scaled, and where its landmarks are then.

    Returns:
        JPEG file, and float64 [5, 2], x and y in pixels.
    """
    angle, scale = draw.uniform(-0.4, 0.4), draw.uniform(0.9, 1.2)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = LOOSE_SIDE / 2 + draw.uniform(-10, 10, 2)
    shift = centre - turn @ np.full(2, ALIGNED_SIDE / 2)
    matrix = np.column_stack((turn, shift))
    image = cv2.warpAffine(jpeg.decode(face), matrix, (LOOSE_SIDE, LOOSE_SIDE), borderMode=cv2.BORDER_REPLICATE)
    return jpeg.encode(np.asarray(image, np.uint8)), TEMPLATE @ turn.T + shift


def _pairs(folder: Path, album: Album, draw: np.random.Generator) -> None:
    """LFW's layout: for each person as many pairs of one person as of two."""
    del draw
    lines = []
    for person, photographs in enumerate(album.people):
        name, other = f"Person_{person}", f"Person_{(person + 1) % len(album.people)}"
        for image, photograph in enumerate(photographs, start=1):
            _write(folder / name / f"{name}_{image:04d}.jpg", photograph)
        for image in range(1, len(photographs)):
            lines += [f"{name}\t{image}\t{image + 1}", f"{name}\t{image}\t{other}\t{image + 1}"]
    (folder / "pairs.txt").write_text("\n".join([f"1\t{len(lines) // 2}", *lines, ""]), encoding="utf-8")


def _ijb(folder: Path, album: Album, draw: np.random.Generator) -> None:
    """IJB-C: a person has a template of two stills in a gallery, one of a still and a video, and one of the rest."""
    faces, media, probes = list[str](), list[str](), list[str]()
    galleries: tuple[list[str], list[str]] = ([], [])
    subjects: dict[int, int] = {}
    for person, photographs in enumerate(album.people):
        subject, template = FIRST_SUBJECT + person, FIRST_TEMPLATE + 10 * person
        for image, photograph in enumerate(photographs):
            part = min(image // 2, 2) if image < 5 else 1  # the sixth is the video's second frame
            medium = 100 * person + (3 if image in (3, 5) else 10 + image)
            name = f"{len(faces) + 1}.jpg"
            encoded, landmarks = loose(photograph, draw)
            _write(folder / "loose_crop" / name, encoded)
            numbers = [*(f"{number:.4f}" for number in landmarks.ravel()), f"{draw.uniform(0.7, 1):.6f}"]
            faces.append(" ".join([name, *numbers]))
            media.append(f"{name} {template + part} {medium}")
        galleries[person % 2].append(f"{template},{subject}")
        probes += [f"{template + part},{subject}" for part in (1, 2)]
        subjects |= {template + part: subject for part in range(3)}
    pairs = [
        f"{one} {other} {int(subjects[one] == subjects[other])}"
        for one in subjects
        for other in subjects
        if one % 10 == 0 and other % 10
    ]
    header = "TEMPLATE_ID,SUBJECT_ID"
    lists = {"ijbc_name_5pts_score.txt": faces, "ijbc_face_tid_mid.txt": media, "ijbc_template_pair_label.txt": pairs}
    lists |= {f"ijbc_1N_gallery_G{place}.csv": [header, *lines] for place, lines in enumerate(galleries, 1)}
    lists["ijbc_1N_probe_mixed.csv"] = [header, *probes]
    for name, lines in lists.items():
        _write(folder / "meta" / name, ("\n".join(lines) + "\n").encode())


def _megaface(folder: Path, album: Album, draw: np.random.Generator) -> None:
    """The trees of images, the kit's lists, and InsightFace's lists of wrong images, of which some are."""
    del draw
    paths: dict[str, list[str]] = {"facescrub": [], "megaface": []}
    for person, photographs in enumerate(album.people):
        paths["facescrub"] += [f"Person_{person}/Person_{person}_{image}.jpg" for image in range(len(photographs))]
    paths["megaface"] = [f"{other % 3}/{other % 5}/{other}_0.jpg" for other in range(len(album.others))]
    photographs = [photograph for person in album.people for photograph in person]
    for tree, files in (("facescrub", photographs), ("megaface", album.others)):
        ids = [path.rpartition("/")[0] for path in paths[tree]]
        for path, file in zip(paths[tree], files, strict=True):
            _write(folder / tree / path, file)
        _write(folder / f"{tree}_list.json", json.dumps({"path": paths[tree], "id": ids}).encode())
    wrong_probe, wrong_distractors = paths["facescrub"][1].rpartition("/")[2], paths["megaface"][:2]
    _write(folder / "facescrub_noises.txt", f"# wrong images\n{wrong_probe}\n".encode())
    _write(folder / "megaface_noises.txt", ("# wrong images\n" + "\n".join(wrong_distractors) + "\n").encode())


def _tinyface(folder: Path, album: Album, draw: np.random.Generator) -> None:
    """The last two photographs of a person are in the gallery, the others are probes."""
    del draw
    for person, photographs in enumerate(album.people, start=1):
        for image, photograph in enumerate(photographs, start=1):
            part = "Gallery_Match" if image > len(photographs) - 2 else "Probe"
            _write(folder / "Testing_Set" / part / f"{person}_{image}.jpg", photograph)
    for number, photograph in enumerate(album.others, start=1):
        _write(folder / "Testing_Set" / "Gallery_Distractor" / f"{number}.jpg", photograph)


def _ijbs(folder: Path, album: Album, draw: np.random.Generator) -> None:
    """Two protocols with one pair of galleries; the first frame of the first person has no face."""
    del draw
    galleries: tuple[list[str], list[str]] = ([], [])
    probes: tuple[list[str], list[str]] = ([], [])
    for person, photographs in enumerate(album.people):
        for image, photograph in enumerate(photographs):
            _write(folder / "images" / str(person) / f"{image}.jpg", photograph)
            template = 10 * person + min(image // 2, 2)
            line = f"{template},{FIRST_SUBJECT + person},{person}/{image}.jpg"
            lists = galleries if image < 2 else probes
            lists[person % 2 if image < 2 else int(image > 3)].append(line)
    for name, probe in zip(("surveillance-to-booking", "uav-to-booking"), probes, strict=True):
        for part, lines in (("probe", probe), ("gallery_1", galleries[0]), ("gallery_2", galleries[1])):
            text = "\n".join(["template,subject,image", *lines, ""])
            _write(folder / "protocols" / name / f"{part}.csv", text.encode())
    _write(folder / "skipped.csv", b"0/2.jpg\n")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


_KINDS: dict[str, Callable[[Path, Album, np.random.Generator], None]] = {
    "pairs": _pairs,
    "ijb": _ijb,
    "megaface": _megaface,
    "tinyface": _tinyface,
    "ijbs": _ijbs,
}
