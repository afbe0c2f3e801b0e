"""LFW's ten folds as InsightFace runs them; see `noisebench.evaluation.verification`.

For LFW, CFP-FP, CFP-FF, AgeDB-30, CALFW, CPLFW, VGG2-FP, and any other file ``.bin`` or list of pairs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisebench.evaluation.embed import Features
from noisebench.evaluation.pairs import is_pairs
from noisebench.evaluation.protocols._pairs import PairProtocol
from noisebench.evaluation.verification import verify


class Lfw(PairProtocol):
    """Ten folds, the best threshold on nine applied to the tenth.

    Attributes:
        images: Folder of a list's images; by default that of the list.
    """

    flip_told = "sum of raw outputs"

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Pairs in a ``.bin`` file or a list."""
        return is_pairs(path)

    def rates(self, first: Features, second: Features, same: NDArray[np.bool_]) -> dict[str, Any]:
        """Accuracy, TAR@FAR, AUC and EER; see `PairProtocol`."""
        result = verify(first, second, same)
        return {
            "accuracy": result.accuracy,
            "accuracy_std": result.accuracy_std,
            "tar_at_far": {f"{far:g}": tar for far, tar in result.tar_at_far.items()},
            "auc": result.auc,
            "eer": result.eer,
        }
