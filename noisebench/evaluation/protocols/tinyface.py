"""TinyFace identification as AdaFace runs it.

A folder with ``Probe/``, ``Gallery_Match/`` and ``Gallery_Distractor/``, or one with these in ``Testing_Set/``. Who an
image shows is the number before the first "_" of its file name; distractors are nobody's mates. Reported is the share
of the probes with a mate in the gallery that find one, of several, at rank 1, 5 or 20; see
`noisebench.evaluation.identification` for ties.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.files import SetFolder
from noisebench.evaluation.identification import search
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.templates import Features, check_finite, unit

PROBE, MATCH, DISTRACTOR = "Probe", "Gallery_Match", "Gallery_Distractor"
RANKS = (1, 5, 20)

_NOBODY = -100


class TinyFace(Protocol):
    """Closed-set identification of low-resolution faces among distractors."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with the three parts."""
        return all((_parts(path) / part).is_dir() for part in (PROBE, MATCH, DISTRACTOR))

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        backbone = backbone_of(embedder)
        folder = SetFolder(_parts(path))
        found = {part: folder.files(part) for part in (PROBE, MATCH, DISTRACTOR)}
        labels = {part: labels_of(folder, found[part]) for part in (PROBE, MATCH)}
        vectors = {part: _embed(folder, names, backbone) for part, names in found.items()}
        gallery = np.concatenate((vectors[MATCH], vectors[DISTRACTOR]))
        gallery_labels = np.append(labels[MATCH], np.full(len(found[DISTRACTOR]), _NOBODY))
        result = search(vectors[PROBE], labels[PROBE], gallery, gallery_labels)
        return TestMetrics(
            sha256=folder.sha256,
            identification={f"rank-{rank}": result.identified(rank) for rank in RANKS},
            counts={
                "probes": len(result.rank),
                "probes with a mate": int(result.is_mated.sum()),
                "gallery": len(found[MATCH]),
                "distractors": len(found[DISTRACTOR]),
            },
            mean_norm=backbone.mean_norm,
            provenance=self.provenance(embedder, flip="sum of raw outputs", fusion="none: one image each, unit length"),
        )


def labels_of(folder: SetFolder, names: list[str]) -> NDArray[np.int64]:
    """Who each image shows, by its file name, int64 [N].

    Raises:
        FileError: A file name does not begin with a number and "_".
    """
    labels = []
    for name in names:
        number, underscore, _ = PurePosixPath(name).name.partition("_")
        if not (underscore and number.isascii() and number.isdigit() and len(number) < 10):
            raise FileError(folder.root / name, "expected a file name such as 12_3.jpg, of a person's number and '_'")
        labels.append(int(number))
    return np.array(labels, np.int64)


def _embed(folder: SetFolder, names: list[str], embedder: Embedder) -> Features:
    vectors = embedder.embed(folder.images(names), total=len(names))
    check_finite(vectors, 0)
    return unit(vectors)


def _parts(path: Path) -> Path:
    return path / "Testing_Set" if (path / "Testing_Set").is_dir() else path
