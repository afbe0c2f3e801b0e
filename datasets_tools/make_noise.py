"""From a noise recipe to a manifest: the ranking chooses the images, the recipe's rules say what becomes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import noisebench
from datasets_tools import closed_set, identities, open_set, selection
from datasets_tools.exclusion import Exclusion
from datasets_tools.neighbours import Neighbours
from noisebench.errors import FileError, UserError
from noisebench.noise import protocols
from noisebench.noise.manifest import ImageSet, Manifest
from noisebench.noise.protocols import Noise
from noisebench.noise.recipe import NoiseRecipe, PerBatch
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


def make_manifest(
    recipe: NoiseRecipe,
    base: ImageSet,
    outliers: ImageSet | None,
    seed: int,
    *,
    exclusion: Exclusion | None = None,
    neighbours: Neighbours | None = None,
) -> Manifest:
    """The manifest of a recipe for a data set: a function of its arguments, the same everywhere.

    Args:
        recipe: What noise to make.
        base: The data set whose images and labels are made noisy.
        outliers: Images of other people, for open-set noise; not used and not recorded without it.
        seed: Noise seed.
        exclusion: Identities of the outlier set that may not be used.
        neighbours: Who is similar to whom, for hard flips; not used and not recorded without them.

    Raises:
        UserError: The recipe cannot be followed with this data: open-set noise without or with too few outliers, hard
            flips without neighbours, closed-set noise in a data set of one identity, an absurd number of identities. Or
            its protocol is not installed, or makes what no manifest can say.
    """
    if base.num_classes > MAX_CLASSES:
        raise FileError(base.folder, f"has {base.num_classes} identities, expected at most {MAX_CLASSES}")
    if recipe.per_batch is not None:
        _check_noise_by_batch(recipe.per_batch, base, outliers, exclusion)
    kind, label = noise(recipe, base.keys, base.labels, base.num_classes, seed, neighbours)
    images = image_sources(recipe, kind, base.keys, base.labels, outliers, seed, exclusion)
    shows_outliers = recipe.per_batch.open > 0 if recipe.per_batch is not None else bool((kind == OPEN).any())
    is_hard = recipe.closed.targets == "hard" and bool((kind == CLOSED).any())
    origin = Origin(
        recipe=recipe,
        seed=seed,
        num_classes=base.num_classes,
        num_new_classes=_num_new_classes(recipe, base.num_classes, seed),
        fingerprints=Fingerprints(
            base=base.fingerprint,
            outliers=outliers.fingerprint if shows_outliers and outliers is not None else None,
            centres=neighbours.sha256 if is_hard and neighbours is not None else None,
        ),
        excluded=exclusion.recorded() if shows_outliers and exclusion is not None else None,
        plugin=protocols.PLUGINS.code(recipe.protocol.name) if recipe.protocol is not None else None,
        asked=counts_asked(recipe, base.labels, base.num_classes, seed) if recipe.protocol is None else counts_of(kind),
        tool_version=noisebench.__version__,
    )
    try:
        return Manifest(base.keys, base.labels, label, kind, *images, origin)
    except ValueError as error:
        if recipe.protocol is None:
            raise
        raise UserError(f"noise protocol '{recipe.protocol.name}' contradicts itself: {error}") from error


def _check_noise_by_batch(
    rule: PerBatch, base: ImageSet, outliers: ImageSet | None, exclusion: Exclusion | None
) -> None:
    """The manifest of noise by batch holds clean images only: whether training can make the noise is seen here."""
    if rule.closed and base.num_classes < 2:
        raise UserError("closed-set noise needs another identity to mislabel with, but the data set has only one")
    if rule.open and (outliers is None or not len(outliers.keys)):
        raise UserError("open-set noise needs an outlier set: name it with --outliers")
    if rule.open and exclusion is not None:
        raise UserError(
            "identities cannot be excluded from noise by batch, which draws from the whole outlier set while training "
            "(give an outlier set without them)"
        )


def noise(
    recipe: NoiseRecipe,
    keys: NDArray[np.int64],
    labels: NDArray[np.int32],
    num_classes: int,
    seed: int,
    neighbours: Neighbours | None = None,
) -> Noise:
    """What is done to every image and the label it gets, by the recipe's protocol or else by `kinds`, `noisy_labels`.

    Raises:
        UserError: The recipe cannot be followed.
    """
    if recipe.protocol is not None:
        return recipe.protocol.noise(keys, labels, num_classes, seed)
    kind = kinds(recipe, keys, labels, num_classes, seed)
    return Noise(kind, noisy_labels(recipe, kind, keys, labels, num_classes, seed, neighbours))


def kinds(
    recipe: NoiseRecipe, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int
) -> NDArray[np.int8]:
    """What is done to every image: codes into ``KINDS``, int8 [N].

    Args:
        recipe: What noise to make.
        keys: Record keys, int64 [N], in record order.
        labels: True labels, int32 [N].
        num_classes: Number of classes.
        seed: Noise seed.

    Raises:
        UserError: The recipe cannot be followed with classes of these sizes.
    """
    kind = selection.Thresholds.of(recipe, keys, labels, num_classes, seed).kinds(keys, labels)
    return open_set.moved_to_tail(kind, labels) if recipe.open.place == "tail" else kind


def noisy_labels(
    recipe: NoiseRecipe,
    kind: NDArray[np.int8],
    keys: NDArray[np.int64],
    labels: NDArray[np.int32],
    num_classes: int,
    seed: int,
    neighbours: Neighbours | None = None,
) -> NDArray[np.int32]:
    """The label to train with of every image, int32 [N].

    Args:
        recipe: What noise to make.
        kind: What is done to each image, int8 [N], as `kinds` gives it.
        keys: Record keys, int64 [N].
        labels: True labels, int32 [N].
        num_classes: Number of classes.
        seed: Noise seed.
        neighbours: Who is similar to whom, for hard flips.

    Raises:
        UserError: Closed-set noise is asked for in a data set of one identity, or its rule cannot be followed.
    """
    noisy = labels.copy()
    is_mislabelled = kind == CLOSED
    if recipe.open.labels == "flipped":  # mislabelled together with the others, and only then replaced
        is_mislabelled |= kind == OPEN
    rows = np.flatnonzero(is_mislabelled)
    if len(rows) and recipe.identities.any:
        drawn = identities.draw(recipe.identities, num_classes, seed)
        noisy[rows] = drawn.new_labels(keys[rows], labels[rows])
    elif len(rows):
        similar = neighbours.labels if neighbours is not None else None
        flips = closed_set.Flips(seed, keys[rows], labels[rows], num_classes, similar)
        noisy[rows] = closed_set.flip(recipe.closed.targets, flips)
    if recipe.open.labels != "flipped":
        rows = np.flatnonzero(kind == OPEN)
        noisy[rows] = open_set.LABEL_RULES[recipe.open.labels](seed, keys[rows], labels[rows], num_classes)
    return noisy


def image_sources(
    recipe: NoiseRecipe,
    kind: NDArray[np.int8],
    keys: NDArray[np.int64],
    labels: NDArray[np.int32],
    outliers: ImageSet | None,
    seed: int,
    exclusion: Exclusion | None = None,
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int32]]:
    """Which record each image is read from: a manifest's ``source``, ``source_index`` and ``source_label``, [N] each.

    Args:
        recipe: Whether outliers may be used more than once.
        kind: What is done to each image, codes into ``KINDS``, int8 [N].
        keys: Record keys of the base set, int64 [N].
        labels: True labels of the base set, int32 [N].
        outliers: Where open-set images come from.
        seed: Noise seed.
        exclusion: Identities of the outlier set that may not be used.

    Raises:
        UserError: There is open-set noise, and no or too few outliers.
    """
    is_replaced = kind == OPEN
    source = np.where(is_replaced, np.int8(FROM_OUTLIERS), np.int8(FROM_BASE))
    replaced = np.flatnonzero(is_replaced)
    if not len(replaced):
        return source, keys, labels
    if outliers is None:
        raise UserError("open-set noise needs an outlier set: name it with --outliers")
    rows = open_set.replacements(keys[replaced], outliers, seed, reuse=recipe.open.reuse, exclusion=exclusion)
    source_index, source_label = keys.copy(), labels.copy()
    source_index[replaced] = outliers.keys[rows]
    source_label[replaced] = outliers.labels[rows]
    return source, source_index, source_label


def counts_asked(recipe: NoiseRecipe, labels: NDArray[np.int32], num_classes: int, seed: int) -> Counts:
    """How many images of each kind a recipe asks for in a data set with these true labels, int32 [N]."""
    groups = selection.group_sizes(recipe, labels, num_classes)
    closed, open_ = (int(count.sum()) for count in selection.counts(recipe, groups, seed))
    return Counts(**dict(zip(KINDS, (len(labels) - closed - open_, closed, open_), strict=True)))


def counts_of(kind: NDArray[np.int8]) -> Counts:
    """How many images there are of each kind, by their codes, int8 [N]."""
    return Counts(**{name: int((kind == code).sum()) for code, name in enumerate(KINDS)})


def _num_new_classes(recipe: NoiseRecipe, num_classes: int, seed: int) -> int:
    return identities.draw(recipe.identities, num_classes, seed).num_new if recipe.identities.any else 0
