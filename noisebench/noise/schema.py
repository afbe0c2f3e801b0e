"""What a noise manifest's file holds: its columns, and its metadata, which is JSON in the key ``noisebench``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from noisebench.config import Settings
from noisebench.noise.recipe import NoiseRecipe

SCHEMA_VERSION: Literal[1] = 1

KINDS = ("clean", "closed", "open")
"""The names of the codes in ``Manifest.kind``."""
CLEAN, CLOSED, OPEN = range(3)

FROM_BASE, FROM_OUTLIERS = range(2)
"""The codes in ``Manifest.source``."""

COLUMNS = {
    "index": np.dtype("<i8"),
    "true_label": np.dtype("<i4"),
    "label": np.dtype("<i4"),
    "kind": np.dtype("<i1"),
    "source": np.dtype("<i1"),
    "source_index": np.dtype("<i8"),
    "source_label": np.dtype("<i4"),
}
"""The columns in order, with the types their bytes have in the checksum."""

MAX_CLASSES = 1 << 26
"""Far more identities than people photographed for any data set; a larger number is damage."""


class Counts(Settings):
    """A number of images of each kind."""

    clean: int = Field(ge=0)
    closed: int = Field(ge=0)
    open: int = Field(ge=0)


class Spread(Settings):
    """How a number differs from class to class."""

    min: int
    median: float
    max: int


class ClassSummary(Settings):
    """Images per class by what was done to them; classes are those of ``true_label``."""

    clean: Spread
    closed: Spread
    open: Spread


class Fingerprints(Settings):
    """The data sets a manifest was made for; ``outliers`` is None where no image comes from an outlier set."""

    base: str
    outliers: str | None


class Origin(Settings):
    """What a manifest was made from."""

    recipe: NoiseRecipe
    seed: int
    num_classes: int = Field(ge=1, le=MAX_CLASSES)
    fingerprints: Fingerprints
    asked: Counts
    tool_version: str


class Metadata(Origin):
    """What a manifest's file says of itself: its origin, and what can be counted again from its columns."""

    schema_version: Literal[1] = SCHEMA_VERSION
    realised: Counts
    images_per_class: ClassSummary
    checksum: str
