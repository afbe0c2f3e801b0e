"""A new set of what is sound in a damaged one. The old one is only read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets_tools.checking.face_set import FaceSetChecker
from datasets_tools.checking.faults import BREAKS_THE_RECORD, Fault
from datasets_tools.checking.verification import VerificationChecker
from noisebench.errors import UserError
from noisebench.files import whole_folder
from noisebench.formats import verification_bin
from noisebench.formats.face_set import write_face_set
from noisebench.formats.recordio import RecordReader, RecordWriter


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
    up from 1 again, in the old order; in the im2rec layout keys and whole records stay.

    Raises:
        UserError: No image is sound, or ``out`` exists and is not empty.
    """
    records, broken = checker.records, _broken(faults)
    keys = np.sort(checker.keys) if checker.expected.layout == "insightface" else checker.records.keys
    keys = keys[~np.isin(keys, list(broken))]
    found = records.read_labels(keys)
    keys = keys[found.has_image]
    if len(keys) == 0:
        raise UserError(f"{records.rec}: not one sound image, so there is nothing to repair it with")
    own = found.label[found.has_image, 0].astype(np.int64)
    by_range = checker.expected.of(keys)
    labels = np.where(by_range >= 0, by_range, own)
    with whole_folder(out) as folder:
        if checker.expected.layout == "insightface":
            num_classes = checker.declared.num_classes if checker.declared else int(labels.max()) + 1
            assert checker.image_size is not None, "an image was decoded"
            write_face_set(folder, _images(records, keys, labels), num_classes, checker.image_size)
        else:
            num_classes = int(labels.max()) + 1
            _copy_records(records, keys, folder)
    emptied = np.setdiff1d(np.arange(num_classes), labels)
    return Repaired(str(out), len(keys), sorted(broken), emptied.tolist())


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


def _broken(faults: Sequence[Fault]) -> set[int]:
    return {fault.key for fault in faults if fault.kind in BREAKS_THE_RECORD and fault.key is not None}


def _images(records: RecordReader, keys: NDArray[np.int64], labels: NDArray[np.integer]) -> Iterator[tuple[bytes, int]]:
    order = np.argsort(labels, kind="stable")
    for key, label in zip(keys[order].tolist(), labels[order].tolist(), strict=True):
        yield bytes(records.read_image(key)[1]), label


def _copy_records(records: RecordReader, keys: NDArray[np.int64], folder: Path) -> None:
    with RecordWriter(folder / "train.rec") as writer:
        for key in keys.tolist():
            writer.write(key, bytes(records.read(key)))
    declared = records.rec.with_name("property")
    if declared.exists():
        shutil.copyfile(declared, folder / "property")
