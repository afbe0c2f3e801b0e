"""From a noise recipe to a manifest: the ranking chooses the images, the recipe's rules say what becomes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import noisebench
from datasets_tools import closed_set, open_set, selection
from noisebench.errors import FileError, UserError
from noisebench.noise.manifest import ImageSet, Manifest
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import (
    CLOSED,
    FROM_BASE,
    FROM_OUTLIERS,
    KINDS,
    MAX_CLASSES,
    OPEN,
    Counts,
    Fingerprints,
    Origin,
)


def make_manifest(recipe: NoiseRecipe, base: ImageSet, outliers: ImageSet | None, seed: int) -> Manifest:
    """The manifest of a recipe for a data set: a function of its arguments, the same everywhere.

    Args:
        recipe: What noise to make.
        base: The data set whose images and labels are made noisy.
        outliers: Images of other people, for open-set noise; not used and not recorded without it.
        seed: Noise seed.

    Raises:
        UserError: Open-set noise is asked for and there are no or too few outliers, or closed-set noise in a data set
            of one identity, or the data set has an absurd number of identities.
    """
    if base.num_classes > MAX_CLASSES:
        raise FileError(base.folder, f"has {base.num_classes} identities, expected at most {MAX_CLASSES}")
    kind, label = noisy_labels(recipe, base.keys, base.labels, base.num_classes, seed)
    images = image_sources(kind, base.keys, base.labels, outliers, seed)
    used_outliers = outliers if (kind == OPEN).any() else None
    origin = Origin(
        recipe=recipe,
        seed=seed,
        num_classes=base.num_classes,
        fingerprints=Fingerprints(
            base=base.fingerprint, outliers=used_outliers.fingerprint if used_outliers is not None else None
        ),
        asked=counts_asked(recipe, base.labels, base.num_classes),
        tool_version=noisebench.__version__,
    )
    return Manifest(base.keys, base.labels, label, kind, *images, origin)


def noisy_labels(
    recipe: NoiseRecipe, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int
) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """The kind (codes into ``KINDS``, int8 [N]) and the label to train with (int32 [N]) of every image.

    Args:
        recipe: What noise to make.
        keys: Record keys, int64 [N].
        labels: True labels, int32 [N].
        num_classes: Number of classes.
        seed: Noise seed.

    Raises:
        UserError: Closed-set noise is asked for in a data set of one identity.
    """
    kind = selection.choose(recipe, keys, labels, num_classes, seed)
    noisy = labels.copy()
    flipped, replaced = np.flatnonzero(kind == CLOSED), np.flatnonzero(kind == OPEN)
    if len(flipped):
        noisy[flipped] = closed_set.flip(recipe.closed.targets, seed, keys[flipped], labels[flipped], num_classes)
    if len(replaced):
        label_rule = open_set.LABEL_RULES[recipe.open.labels]
        noisy[replaced] = label_rule(seed, keys[replaced], labels[replaced], num_classes)
    return kind, noisy


def image_sources(
    kind: NDArray[np.int8],
    keys: NDArray[np.int64],
    labels: NDArray[np.int32],
    outliers: ImageSet | None,
    seed: int,
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int32]]:
    """Which record each image is read from: a manifest's ``source``, ``source_index`` and ``source_label``, [N] each.

    Args:
        kind: What is done to each image, codes into ``KINDS``, int8 [N].
        keys: Record keys of the base set, int64 [N].
        labels: True labels of the base set, int32 [N].
        outliers: Where open-set images come from.
        seed: Noise seed.

    Raises:
        UserError: There is open-set noise, and no or too few outliers.
    """
    source = np.full_like(kind, FROM_BASE)
    replaced = np.flatnonzero(kind == OPEN)
    if not len(replaced):
        return source, keys, labels
    if outliers is None:
        raise UserError("open-set noise needs an outlier set: name it with --outliers")
    rows = open_set.replacements(selection.rank(seed, keys[replaced]), outliers, seed)
    source_index, source_label = keys.copy(), labels.copy()
    source[replaced] = FROM_OUTLIERS
    source_index[replaced] = outliers.keys[rows]
    source_label[replaced] = outliers.labels[rows]
    return source, source_index, source_label


def counts_asked(recipe: NoiseRecipe, labels: NDArray[np.int32], num_classes: int) -> Counts:
    """How many images of each kind a recipe asks for in a data set with these true labels, int32 [N]."""
    per_set = recipe.chosen_per == "set"
    groups = np.array([len(labels)]) if per_set else np.bincount(labels, minlength=num_classes)
    closed, open_ = (int(count.sum()) for count in selection.counts(recipe, groups))
    return Counts(**dict(zip(KINDS, (len(labels) - closed - open_, closed, open_), strict=True)))
