"""A new set of what is sound in a damaged one. The old one is only read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.checking.face_set import FaceSetChecker
from datasets_tools.checking.faults import BREAKS_THE_RECORD, Fault
from datasets_tools.checking.verification import VerificationChecker
from datasets_tools.growing_set import GrowingFaceSet, growing_folder
from noisebench.errors import UserError
from noisebench.formats import verification_bin
from noisebench.formats.layouts import layout_for
from noisebench.formats.recordio import RecordReader


class Repaired(NamedTuple):
    """What a repair has come to.

    Attributes:
        out: The new set.
        images: How many images it has.
        left_out: Keys of the records, or numbers of the images, that are not in it.
        emptied: Identities that have no image left. They stay identities, so that no label changes.
    """

    out: str
    images: int
    left_out: list[int]
    emptied: list[int]


def repair_face_set(checker: FaceSetChecker, faults: Sequence[Fault], out: Path) -> Repaired:
    """Write the sound images of a face set to the folder ``out``, each byte of them as it was.

    Labels and the number of identities stay. In the InsightFace layout, keys are numbers without a gap, so they count
    up again, in the old order; in the im2rec layout keys and whole records stay. An interrupted call leaves
    ``<out>.part``, and the same call goes on from there.

    Raises:
        UserError: No image is sound, or ``out`` exists and is not empty.
    """
    broken = _broken(faults)
    sound = _sound_images(checker, broken)
    num_classes = checker.declared.num_classes if checker.declared else int(sound.labels.max()) + 1
    keeps_records = checker.expected.layout == "im2rec"
    assert checker.image_size is not None, "an image was decoded"
    layout = "im2rec" if keeps_records else layout_for(len(sound.keys), num_classes)
    with (
        growing_folder(out, verb="repair", **_task(checker.records, sound)) as part,
        GrowingFaceSet(part, layout=layout) as faces,
    ):
        done, total = faces.num_images, len(sound.keys)
        remaining = zip(sound.keys[done:].tolist(), sound.labels[done:].tolist(), strict=True)
        for key, label in tqdm(remaining, "repair", total, initial=done, unit="image", unit_scale=True, disable=None):
            if keeps_records:
                faces.write_record(key, bytes(checker.records.read(key)))
            else:
                faces.write(bytes(checker.records.read_image(key)[1]), label)
        num_images = np.bincount(sound.labels, minlength=num_classes)
        faces.finish(num_images, checker.image_size)
    return Repaired(str(out), total, sorted(broken), np.flatnonzero(num_images == 0).tolist())


def repair_verification(checker: VerificationChecker, faults: Sequence[Fault], out: Path) -> Repaired:
    """Write the pairs of a verification file of which both images are sound to the file ``out``.

    Raises:
        UserError: No pair is sound, or ``out`` exists.
    """
    if out.exists():
        raise UserError(f"{out}: already exists (choose another file or remove it first)")
    broken = np.array(sorted(_broken(faults)), dtype=np.int64)
    content = checker.content
    pairs = np.setdiff1d(np.arange(len(content.same)), broken // 2)
    if len(pairs) == 0:
        raise UserError(f"{checker.path}: not one sound pair, so there is nothing to repair it with")
    jpegs = [content.jpegs[2 * pair + side] for pair in pairs.tolist() for side in (0, 1)]
    verification_bin.write(out, jpegs, content.same[pairs])
    return Repaired(str(out), len(jpegs), broken.tolist(), [])


class _Sound(NamedTuple):
    """The images to copy: their keys, int64 [N], and labels, int32 [N]."""

    keys: NDArray[np.int64]
    labels: NDArray[np.int32]


def _broken(faults: Sequence[Fault]) -> set[int]:
    return {fault.key for fault in faults if fault.kind in BREAKS_THE_RECORD and fault.key is not None}


def _sound_images(checker: FaceSetChecker, broken: set[int]) -> _Sound:
    """What is to be copied, in the order of the new set.

    Raises:
        UserError: There is nothing.
    """
    records, in_order = checker.records, checker.expected.layout == "im2rec"
    keys = records.keys if in_order else np.sort(records.keys)
    keys = keys[~np.isin(keys, list(broken))]
    found = records.read_labels(keys)
    keys = keys[found.has_image]
    if len(keys) == 0:
        raise UserError(f"{records.rec}: not one sound image, so there is nothing to repair it with")
    by_range = checker.expected.of(keys)
    labels = np.where(by_range >= 0, by_range, found.label[found.has_image, 0].astype(np.int32))
    order = np.arange(len(keys)) if in_order else np.argsort(labels, kind="stable")
    return _Sound(keys[order], labels[order])


def _task(records: RecordReader, sound: _Sound) -> dict[str, Any]:
    """What a repaired set follows from."""
    chosen = hashlib.sha256(sound.keys.astype("<i8").tobytes() + sound.labels.astype("<i4").tobytes())
    state = records.rec.stat()
    return {
        "rec": str(records.rec.resolve()),
        "state": [state.st_size, state.st_mtime_ns],
        "images": chosen.hexdigest(),
    }
