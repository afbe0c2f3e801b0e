"""BoundaryFace's ten folds, centred and concatenated; see `noisebench.evaluation.centred`.

For the lists of LFW and SLLFW, of the four subsets of RFW, of AgeDB, CALFW, CPLFW and CFP, and for files ``.bin``. Its
numbers differ from those of the protocol ``lfw``, so it is never chosen by itself.
"""

from __future__ import annotations

from pathlib import Path

from noisebench.evaluation.centred import verify_centred
from noisebench.evaluation.embed import Embedder, embed_encoded
from noisebench.evaluation.pairs import open_pairs
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics


class BoundaryFace(Protocol):
    """Ten folds, features centred on the other nine.

    Attributes:
        images: Folder of a list's images; by default that of the list.
    """

    images: Path | None = None

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Never, see above."""
        return False

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        pairs = open_pairs(path, self.images)
        embeddings = embed_encoded(backbone_of(embedder), pairs.jpegs, "concatenation")
        result = verify_centred(embeddings.vectors[0::2], embeddings.vectors[1::2], pairs.same)
        return TestMetrics(
            sha256=pairs.sha256,
            num_pairs=len(pairs.same),
            accuracy=result.accuracy,
            accuracy_std=result.accuracy_std,
            mean_norm=embeddings.mean_norm,
            provenance=self.provenance(
                embedder,
                flip="concatenation of raw outputs, centred on the other folds",
                fusion="none: one image a side",
            ),
        )
