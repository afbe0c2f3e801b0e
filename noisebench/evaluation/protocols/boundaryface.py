"""BoundaryFace's ten folds, centred and concatenated; see `noisebench.evaluation.centred`.

For the lists of LFW and SLLFW, of the four subsets of RFW, of AgeDB, CALFW, CPLFW and CFP, and for files ``.bin``. Its
numbers differ from those of the protocol ``lfw``, so it is never chosen by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisebench.evaluation.centred import verify_centred
from noisebench.evaluation.embed import Features
from noisebench.evaluation.protocols._pairs import PairProtocol


class BoundaryFace(PairProtocol):
    """Ten folds, features centred on the other nine.

    Attributes:
        images: Folder of a list's images; by default that of the list.
    """

    flip = "concatenation"
    flip_told = "concatenation of raw outputs, centred on the other folds"

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Never, see above."""
        return False

    def rates(self, first: Features, second: Features, same: NDArray[np.bool_]) -> dict[str, Any]:
        """Accuracy; see `PairProtocol`."""
        result = verify_centred(first, second, same)
        return {"accuracy": result.accuracy, "accuracy_std": result.accuracy_std}
