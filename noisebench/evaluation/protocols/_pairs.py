"""What protocols of pairs of images have in common: reading the pairs, embedding each image once."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from noisebench.evaluation.embed import Embedder, Features, Flip, embed_encoded
from noisebench.evaluation.pairs import open_pairs
from noisebench.evaluation.protocols import Protocol, backbone_of
from noisebench.evaluation.result import TestMetrics
from noisebench.evaluation.verification import NUM_FOLDS, check_pairs


class PairProtocol(Protocol):
    """Pairs of images, verified over folds.

    Attributes:
        images: Folder of a list's images; by default that of the list.
    """

    flip: ClassVar[Flip] = "sum"
    flip_told: ClassVar[str]
    """The flip rule in words, for the result."""

    images: Path | None = None

    @abstractmethod
    def rates(self, first: Features, second: Features, same: NDArray[np.bool_]) -> dict[str, Any]:
        """What is reported, by its name in `TestMetrics`.

        Args:
            first: float32 [P, D], the embedding of the first image of each pair.
            second: float32 [P, D], of the second.
            same: bool [P], whether the pair shows one person.
        """

    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate; see `Protocol`."""
        pairs = open_pairs(path, self.images)
        check_pairs(len(pairs.jpegs) // 2, pairs.same, NUM_FOLDS)  # before hours of embedding
        embeddings = embed_encoded(backbone_of(embedder), pairs.jpegs, self.flip)
        return TestMetrics(
            sha256=pairs.sha256,
            num_pairs=len(pairs.same),
            mean_norm=embeddings.mean_norm,
            provenance=self.provenance(embedder, flip=self.flip_told, fusion="none: one image a side"),
            **self.rates(embeddings.vectors[0::2], embeddings.vectors[1::2], pairs.same),
        )
