"""A protocol of test sets: what a test set looks like, and how a backbone is evaluated on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from noisebench.errors import UserError
from noisebench.evaluation.embed import Embedder, embed_encoded
from noisebench.evaluation.files import SetFolder
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.verification import normalise


class ExampleOneShot(Protocol):
    """Example: rank 1 among PERSON/IMAGE.jpg, each person's first image being the gallery and all others probes."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder of folders of images."""
        return path.is_dir() and any(path.glob("*/*.jpg"))

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        folder = SetFolder(path)
        names = sorted(f"{image.parent.name}/{image.name}" for image in path.glob("*/*.jpg"))
        person = np.unique([name.partition("/")[0] for name in names], return_inverse=True)[1]
        is_probe = np.append(False, person[1:] == person[:-1])
        if not is_probe.any():
            raise UserError("no person has two images: there is nothing to look for")
        vectors = normalise(embed_encoded(backbone_of(embedder), [folder.file_bytes(name) for name in names]).vectors)
        nearest = np.argmax(vectors[is_probe] @ vectors[~is_probe].T, axis=1)
        return TestMetrics(
            sha256=folder.sha256,
            identification={"rank-1": float(np.mean(nearest == person[is_probe]))},
            counts={"gallery": int((~is_probe).sum()), "probes": int(is_probe.sum())},
            provenance=self.provenance(embedder, flip="sum of raw outputs", fusion="none: one image"),
        )
