"""What a noise manifest's file holds: its columns, and its metadata, which is JSON in the key ``noisebench``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from noisebench.config import Settings
from noisebench.noise.recipe import NoiseRecipe
from noisebench.plugins import PluginCode

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
    """What a manifest was made for: ``outliers`` and ``centres`` are None where its noise took nothing from them."""

    base: str
    outliers: str | None
    centres: str | None = Field(default=None, description="SHA-256 of the file that says who is similar to whom.")


class Excluded(Settings):
    """The list of identities of the outlier set that were not used."""

    sha256: str = Field(description="SHA-256 of the list's file.")
    identities: int = Field(ge=0, description="How many identities it names.")


class KnownNoise(Settings):
    """The list that noise found in a real set was imported from: nothing was done to the set itself."""

    sha256: str = Field(description="SHA-256 of the list's file.")
    names_sha256: str | None = Field(description="SHA-256 of the file of the images' names, if one was needed.")
    listed: int = Field(ge=0, description="How many images of the set the list names.")
    others: Literal["clean", "bad"] = Field(description="What the list means by leaving an image out.")


class Cleaned(Settings):
    """How a manifest came of another one, whose images were judged by a trained run."""

    manifest: str = Field(description="Checksum of the manifest that was cleaned.")
    run: str = Field(description="Hash of the run that judged its images.")
    rule: str = Field(description="What was done to which images.")
    rounds: int = Field(ge=1, description="How often manifests were cleaned, from the first to this one.")
    dropped: int = Field(ge=0, description="Images of the base set that are no longer in, over all rounds.")


class Origin(Settings):
    """What a manifest was made from."""

    recipe: NoiseRecipe
    seed: int
    num_classes: int = Field(ge=1, le=MAX_CLASSES, description="Identities of the base set.")
    num_new_classes: int = Field(
        default=0,
        ge=0,
        le=MAX_CLASSES,
        description="Labels that splitting identities made, after those of the base set.",
    )
    fingerprints: Fingerprints
    excluded: Excluded | None = None
    known: KnownNoise | None = None
    cleaned: Cleaned | None = None
    plugin: PluginCode | None = Field(
        default=None, description="The code of the recipe's protocol, where it is one of an installed package."
    )
    asked: Counts
    tool_version: str


class Metadata(Origin):
    """What a manifest's file says of itself: its origin, and what can be counted again from its columns."""

    schema_version: Literal[1] = SCHEMA_VERSION
    realised: Counts
    images_per_class: ClassSummary
    checksum: str
