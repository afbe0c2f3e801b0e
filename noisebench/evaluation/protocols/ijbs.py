"""IJB-S as AdaFace runs it, from PFE's code: templates of video frames, searched in two galleries.

A folder with ``images/`` and, for each of its protocols such as ``surveillance-to-booking``, a folder
``protocols/NAME/`` with ``probe.csv``, ``gallery_1.csv`` and ``gallery_2.csv``: a header, then a line
"template,subject,image" for each image of each template, paths below ``images/``. A pickle of the protocols, which
AdaFace reads, is never opened. ``skipped.csv`` lists images without a face, if any, one a line.

A template is the mean of the raw outputs for its images, without mirror images, at unit length; one whose images are
all skipped is the zero vector. Ranks are of both galleries together, TPIR@FPIR is the mean over searches in each; see
`noisebench.evaluation.identification`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from noisebench.errors import FileError
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.files import SetFolder
from noisebench.evaluation.identification import FALSE_POSITIVE_RATES, RANKS, search
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.templates import Features, pool
from noisebench.formats import ijb_lists, plain_text
from noisebench.formats.ijb_lists import Subjects

PROBE, GALLERIES = "probe.csv", ("gallery_1.csv", "gallery_2.csv")
SKIPPED = "skipped.csv"


class IjbS(Protocol):
    """Closed-set ranks and open-set TPIR@FPIR of every protocol in the folder."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with protocols of probes."""
        return any((path / "protocols").glob(f"*/{PROBE}"))

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        reader = _Reader(SetFolder(path), backbone_of(embedder))
        protocols = sorted(found.parent.name for found in (path / "protocols").glob(f"*/{PROBE}"))
        rates: dict[str, float] = {}
        for name in protocols:
            found = identify(*(reader.templates(f"protocols/{name}/{part}") for part in (PROBE, *GALLERIES)))
            rates |= {f"{name} {rate}": value for rate, value in found.items()}
        return TestMetrics(
            sha256=reader.folder.sha256,
            identification=rates,
            counts={"protocols": len(protocols), "skipped images": len(reader.skipped)},
            mean_norm=reader.embedder.mean_norm,
            provenance=self.provenance(
                embedder, flip="none", fusion="mean of raw outputs over a template; unit length"
            ),
        )


def identify(
    probe: tuple[Subjects, Features], first: tuple[Subjects, Features], second: tuple[Subjects, Features]
) -> dict[str, float]:
    """Identification rates of one protocol by name."""
    probes, features = probe
    both = np.concatenate((first[0].subjects, second[0].subjects))
    joint = search(features, probes.subjects, np.concatenate((first[1], second[1])), both)
    rates = {f"rank-{rank}": joint.identified(rank) for rank in RANKS}
    searches = [search(features, probes.subjects, found, gallery.subjects) for gallery, found in (first, second)]
    for rate in FALSE_POSITIVE_RATES:
        rates[f"TPIR@FPIR={rate:g}"] = float(np.mean([each.tpir(rate) for each in searches]))
    return rates


class _Reader:
    """Reads and pools lists of templates; lists of the same content, as several protocols have, are pooled once."""

    def __init__(self, folder: SetFolder, embedder: Embedder) -> None:
        self.folder = folder
        self.embedder = embedder
        self.skipped = self._skipped()
        self._pooled: dict[bytes, tuple[Subjects, Features]] = {}

    def templates(self, name: str) -> tuple[Subjects, Features]:
        """The templates of a list, ascending, and their vectors float32 [T, D].

        Raises:
            FileError: The list or an image is at fault.
        """
        data = self.folder.list_bytes(name)
        if data not in self._pooled:
            self._pooled[data] = self._pool(self.folder.root / name, data)
        return self._pooled[data]

    def _pool(self, path: Path, data: bytes) -> tuple[Subjects, Features]:
        subjects = ijb_lists.parse_subjects(path, data)
        lines = [line for line in csv.reader(plain_text.lines_of(path, data)[1:]) if line]
        short = next((number for number, line in enumerate(lines, start=1) if len(line) < 3), None)
        if short is not None:
            raise FileError(path, f"entry {short} names no image; expected template,subject,image")
        kept = [(int(line[0]), f"images/{line[2]}") for line in lines if line[2] not in self.skipped]
        if not kept:
            raise FileError(path, "all its images are skipped")
        blocks = self.embedder.blocks(self.folder.images(name for _, name in kept), "none", len(kept))
        templates = pool(blocks, np.array([template for template, _ in kept]), np.arange(len(kept)))
        vectors = np.zeros((len(subjects.templates), templates.vectors.shape[1]), np.float32)
        vectors[np.searchsorted(subjects.templates, templates.ids)] = templates.vectors
        return subjects, vectors

    def _skipped(self) -> set[str]:
        if not self.folder.holds(SKIPPED):
            return set()
        return set(plain_text.lines_of(self.folder.root / SKIPPED, self.folder.list_bytes(SKIPPED)))
