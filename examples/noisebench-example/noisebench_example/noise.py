"""A noise protocol: what is done to each image, as a function of its key, its label and the seed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from noisebench.noise.counter import bits
from noisebench.noise.protocols import Noise, NoiseProtocol
from noisebench.noise.recipe import Rate
from noisebench.noise.schema import CLEAN, CLOSED


class ExamplePairs(NoiseProtocol):
    """Example: identities are confused in twos, 0 with 1, 2 with 3 and so on; an odd last one is left alone."""

    rate: Rate = Field(default=Decimal("0.2"), description="Share of the images that are mislabelled, rounded down.")

    def noise(self, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int) -> Noise:
        """Mislabel the images with the lowest hashes, so that a higher rate mislabels the same ones and more."""
        partner = labels ^ np.int32(1)
        able = np.flatnonzero(partner < num_classes)
        order = able[np.argsort(bits(seed, "example_pairs", keys[able]), kind="stable")]
        mislabelled = order[: int(self.rate * len(keys))]
        kind, label = np.full(len(keys), CLEAN, dtype=np.int8), labels.copy()
        kind[mislabelled], label[mislabelled] = CLOSED, partner[mislabelled]
        return Noise(kind, label)
