"""Real noise as ground truth: a manifest of what a list says of a set's labels. Nothing is done to the set itself."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

import noisebench
from datasets_tools.known_list import NOBODY, UNSAID, KnownList
from noisebench.errors import FileError
from noisebench.files import sha256_of
from noisebench.noise.manifest import ImageSet, Manifest
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import (
    CLEAN,
    CLOSED,
    FROM_BASE,
    KINDS,
    MAX_CLASSES,
    OPEN,
    Counts,
    Fingerprints,
    KnownNoise,
    Origin,
)

Others = Literal["clean", "bad"]
"""What a list means by leaving an image out: its label is right, or it shows nobody of the set."""

RECIPE = NoiseRecipe(name="known", description="Noise that was found in the set and imported from a list.")


def known_manifest(listed: KnownList, base: ImageSet, others: Others) -> Manifest:
    """The manifest of a real set's own noise: ``label`` is the set's label, ``true_label`` the corrected one.

    An image is "closed" where the two differ, and "open" where it shows nobody of the set; its ``true_label`` is then
    its label. Every image is read from its own record.

    Args:
        listed: What is known.
        base: The set.
        others: What the list means by leaving an image out. An image that it names without a label is the opposite.

    Raises:
        FileError: The list names a record or an identity that the set does not have; the line is named.
    """
    if base.num_classes > MAX_CLASSES:
        raise FileError(base.folder, f"has {base.num_classes} identities, expected at most {MAX_CLASSES}")
    true_label, kind = truth(listed, base.keys, base.labels, base.num_classes, others)
    origin = Origin(
        recipe=RECIPE,
        seed=0,
        num_classes=base.num_classes,
        fingerprints=Fingerprints(base=base.fingerprint, outliers=None),
        known=KnownNoise(
            sha256=listed.sha256,
            names_sha256=sha256_of(listed.names) if listed.names is not None else None,
            listed=len(listed.keys),
            others=others,
        ),
        asked=Counts(**dict(zip(KINDS, np.bincount(kind, minlength=len(KINDS)).tolist(), strict=True))),
        tool_version=noisebench.__version__,
    )
    source = np.full_like(kind, FROM_BASE)
    return Manifest(base.keys, true_label, base.labels, kind, source, base.keys, base.labels, origin)


def truth(
    listed: KnownList, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, others: Others
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Whom each image shows, int32 [N] (its label where that is nobody of the set), and its kind, int8 [N].

    Args:
        listed: What is known.
        keys: Record keys of the set, int64 [N], each once.
        labels: The set's labels, int32 [N].
        num_classes: Number of the set's identities.
        others: As of `known_manifest`.

    Raises:
        FileError: As of `known_manifest`.
    """
    rows = _rows_of(listed, keys)
    beyond = np.flatnonzero(listed.labels >= num_classes)
    if len(beyond):
        first = beyond[np.argmin(listed.lines[beyond])]
        problem = f"line {listed.lines[first]}: the corrected label is {listed.labels[first]}"
        raise FileError(listed.path, f"{problem}, expected one of the set's {num_classes} identities, or -1 for nobody")
    said = np.where(listed.labels == UNSAID, NOBODY if others == "clean" else labels[rows], listed.labels)
    true_label, kind = labels.copy(), np.full(len(keys), CLEAN if others == "clean" else OPEN, dtype=np.int8)
    true_label[rows] = np.where(said == NOBODY, labels[rows], said)
    kind[rows] = np.where(said == NOBODY, OPEN, np.where(said == labels[rows], CLEAN, CLOSED))
    return true_label, kind


def _rows_of(listed: KnownList, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of the listed images in the set, int64 [K]."""
    order = np.argsort(keys, kind="stable")
    places = np.minimum(np.searchsorted(keys, listed.keys, sorter=order), len(keys) - 1)
    rows = order[places]
    missing = np.flatnonzero(keys[rows] != listed.keys)
    if len(missing):
        first = missing[np.argmin(listed.lines[missing])]
        problem = f"line {listed.lines[first]}: record {listed.keys[first]} holds no image of the data set"
        raise FileError(listed.path, problem, "give the list that was made for this set")
    return rows
