"""LFW's ten folds as InsightFace runs them; see `noisebench.evaluation.verification`.

For LFW, CFP-FP, CFP-FF, AgeDB-30, CALFW, CPLFW, VGG2-FP, and any other file ``.bin`` or list of pairs.
"""

from __future__ import annotations

from pathlib import Path

from noisebench.evaluation.embed import Embedder, embed_encoded
from noisebench.evaluation.pairs import is_pairs, open_pairs
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.verification import verify


class Lfw(Protocol):
    """Ten folds, the best threshold on nine applied to the tenth.

    Attributes:
        images: Folder of a list's images; by default that of the list.
    """

    images: Path | None = None

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Pairs in a ``.bin`` file or a list."""
        return is_pairs(path)

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        pairs = open_pairs(path, self.images)
        embeddings = embed_encoded(backbone_of(embedder), pairs.jpegs)
        result = verify(embeddings.vectors[0::2], embeddings.vectors[1::2], pairs.same)
        return TestMetrics(
            sha256=pairs.sha256,
            num_pairs=len(pairs.same),
            accuracy=result.accuracy,
            accuracy_std=result.accuracy_std,
            tar_at_far={f"{far:g}": tar for far, tar in result.tar_at_far.items()},
            auc=result.auc,
            eer=result.eer,
            mean_norm=embeddings.mean_norm,
            provenance=self.provenance(embedder, flip="sum of raw outputs", fusion="none: one image a side"),
        )
