"""IJB-B and IJB-C, one to one and, where its lists are there, one to many, in InsightFace's form.

A folder with ``loose_crop/``, the images, and ``meta/``, the lists (see `noisebench.formats.ijb_lists`). Faces are
aligned by their landmarks and pooled into templates (see `noisebench.evaluation.templates`).

*One to one.* The score of a pair of templates is their cosine; TAR@FAR is read at the nearest point of the ROC.

*One to many.* ``rank-k`` and ``TPIR@FPIR (joint gallery)`` are InsightFace's: the galleries are put together, and each
probe has one mate in them. ``TPIR@FPIR`` is the open-set rate of NIST's protocol: each gallery is searched by itself,
so that the probes whose subject is in the other one are unmated, and the rates are averaged. See
`noisebench.evaluation.identification`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from noisebench.errors import FileError, UserError
from noisebench.evaluation.alignment import align
from noisebench.evaluation.embed import Embedder, Flip, LazyImage
from noisebench.evaluation.files import SetFolder
from noisebench.evaluation.identification import FALSE_POSITIVE_RATES, RANKS, recall_above_impostors, search
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.roc import Roc
from noisebench.evaluation.templates import (
    Features,
    Numbers,
    Templates,
    check_known,
    pair_scores,
    pool,
    unit,
)
from noisebench.formats import ijb_lists
from noisebench.formats.ijb_lists import Faces, Subjects
from noisebench.formats.jpeg import Image

FALSE_ACCEPT_RATES = ("1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1")

_FLIPS: dict[str, Flip] = {"0": "none", "1": "concatenation", "2": "sum"}
_FEATURES = {"0": "image features at unit length", "1": "image features with their norm"}
_SCORES = {"0": "", "1": " times the detector's score"}


class Ijb(Protocol):
    """Templates pooled over media, compared by cosine.

    Attributes:
        flags: InsightFace's test mode. N1 keeps the norm of an image's feature as its weight, N0 brings it to unit
        length;
            D1 multiplies by the detector's score, D0 does not; F0 leaves out the mirror image, F1 puts its feature
            behind, F2 adds it. AdaFace evaluates with N1D0F2.
    """

    flags: str = Field(default="N1D1F2", pattern="^N[01]D[01]F[012]$")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with the lists of IJB."""
        return any((path / "meta").glob("*_face_tid_mid.txt"))

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        backbone = backbone_of(embedder)
        folder = SetFolder(path)
        faces = ijb_lists.parse_faces(*_read(folder, "name_5pts_score.txt"))
        template, medium = ijb_lists.parse_media(*_read(folder, "face_tid_mid.txt"), faces.names)
        first, second, same = ijb_lists.parse_pairs(*_read(folder, "template_pair_label.txt"))
        galleries, probes = _subjects(folder)
        known = np.unique(template)
        for named in (first, second, *(each.templates for each in (*galleries, probes) if each)):
            check_known(known, named)  # before hours of embedding
        templates = pool(self._features(folder, faces, backbone), template, medium)
        scores = pair_scores(templates.vectors, templates.rows(first), templates.rows(second))
        roc = Roc.of(scores, same)
        counts = {"images": len(faces.names), "templates": len(templates.ids)}
        counts |= {"genuine pairs": roc.num_genuine, "impostor pairs": roc.num_impostors}
        weighted = _FEATURES[self.flags[1]] + _SCORES[self.flags[3]]
        return TestMetrics(
            sha256=folder.sha256,
            num_pairs=len(same),
            tar_at_far={rate: roc.tar_at_nearest_far(float(rate)) for rate in FALSE_ACCEPT_RATES},
            auc=roc.auc(),
            eer=roc.eer(),
            identification=one_to_many(templates, galleries, probes) if probes else {},
            counts=counts | ({"probes": len(probes.templates)} if probes else {}),
            mean_norm=backbone.mean_norm,
            provenance=self.provenance(
                embedder,
                flip=_FLIPS[self.flags[5]],
                fusion=f"{weighted}; mean over a medium; sum over media; unit length",
            ),
        )

    def _features(self, folder: SetFolder, faces: Faces, embedder: Embedder) -> Iterator[Features]:
        """Weighted features of the faces, batch by batch."""
        start = 0
        for block in embedder.blocks(aligned(folder, faces), _FLIPS[self.flags[5]], len(faces.names)):
            features = unit(block) if self.flags[1] == "0" else block
            if self.flags[3] == "1":
                features = features * faces.scores[start : start + len(block), None].astype(np.float32)
            start += len(block)
            yield features


def aligned(folder: SetFolder, faces: Faces) -> Iterator[LazyImage]:
    """The faces, cut out of their images when they are called.

    Raises:
        FileError: An image is missing or cannot be decoded, or its landmarks are of no use.
    """
    names = [f"loose_crop/{name}" for name in faces.names]
    for number, (image, landmarks) in enumerate(zip(folder.images(names), faces.landmarks, strict=True)):
        yield partial(_aligned, folder.root / names[number], number, image, landmarks)


def _aligned(path: Path, number: int, image: LazyImage, landmarks: NDArray[np.float64]) -> Image:
    try:
        return align(image(), landmarks)
    except FileError:
        raise
    except UserError as error:
        raise FileError(path, f"image {number}: {error}") from error


def one_to_many(templates: Templates, galleries: list[Subjects], probes: Subjects) -> dict[str, float]:
    """Identification rates by name.

    Raises:
        UserError: A template has no image, or a probe does not have exactly one mate in all galleries.
    """
    features = templates.vectors[templates.rows(probes.templates)]
    found = [templates.vectors[templates.rows(gallery.templates)] for gallery in galleries]
    together, subjects = np.concatenate(found), np.concatenate([gallery.subjects for gallery in galleries])
    joint = search(features, probes.subjects, together, subjects)
    rates = {f"rank-{rank}": joint.identified(rank) for rank in RANKS}
    mates = only_mates(probes.subjects, subjects)
    for rate, recall in recall_above_impostors(features, mates, together).items():
        rates[f"TPIR@FPIR={rate:g} (joint gallery)"] = recall
    searches = [
        search(features, probes.subjects, vectors, gallery.subjects)
        for vectors, gallery in zip(found, galleries, strict=True)
    ]
    if len(searches) > 1:
        for rate in FALSE_POSITIVE_RATES:
            rates[f"TPIR@FPIR={rate:g}"] = float(np.mean([each.tpir(rate) for each in searches]))
    return rates


def only_mates(probes: Numbers, gallery: Numbers) -> Numbers:
    """The row [P] of each probe's only mate in the gallery, by their subjects.

    Raises:
        UserError: A probe has no mate, or several.
    """
    order = np.argsort(gallery, kind="stable")
    low, high = (np.searchsorted(gallery, probes, side=side, sorter=order) for side in ("left", "right"))
    wrong = high - low != 1
    if wrong.any():
        probe = int(np.argmax(wrong))
        raise UserError(
            f"subject {probes[probe]} of a probe is {high[probe] - low[probe]} times in the galleries, not once"
        )
    return order[low]


def _subjects(folder: SetFolder) -> tuple[list[Subjects], Subjects | None]:
    """The galleries and the probes of one to many, if there are any."""
    names = sorted(found.name for found in (folder.root / "meta").glob("*_1N_gallery_*.csv"))
    if not names:
        return [], None
    galleries = [
        ijb_lists.parse_subjects(folder.root / "meta" / name, folder.list_bytes(f"meta/{name}")) for name in names
    ]
    return galleries, ijb_lists.parse_subjects(*_read(folder, "1N_probe_mixed.csv"))


def _read(folder: SetFolder, ending: str) -> tuple[Path, bytes]:
    """Path and bytes of the one list in ``meta`` whose name ends so."""
    found = sorted((folder.root / "meta").glob(f"*_{ending}"))
    if len(found) != 1:
        raise FileError(folder.root / "meta", f"holds {len(found)} lists ending in '_{ending}', expected one")
    return found[0], folder.list_bytes(f"meta/{found[0].name}")
