"""The noise manifest: what was done to every training image, as data. Training and analysis read nothing else.

A manifest is one Parquet file with one row per image of the base set, in record order:

    index         int64       key of the image's record in the base set
    true_label    int32       whom the image of the base set shows: the base set's label, see below
    label         int32       the label to train with
    kind          dictionary  clean, closed or open: what was done to it
    source        int8        0: the image is the base set's own; 1: it comes from the outlier set
    source_index  int64       key of the record to read the image from
    source_label  int32       the image's identity in its source (open: the outlier's identity)

The file's metadata key ``noisebench`` holds ``Metadata`` as JSON.

Noise is either made or found. Where it is made, ``true_label`` is the base set's label, and open-set images come from
the outlier set. Where it was found in the base set and imported from a list (``Origin.known``), every image is the base
set's own and ``label`` is the base set's label; ``true_label`` is the corrected one, and still ``label`` in images that
show nobody of the set.

A manifest that ``noisebench clean`` made of another one (``Origin.cleaned``) lacks the rows of the images it dropped.
The others stay in record order, and ``kind`` says what is true of their labels now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError, UserError
from noisebench.noise import manifest_file
from noisebench.noise.schema import (
    CLEAN,
    CLOSED,
    COLUMNS,
    FROM_BASE,
    FROM_OUTLIERS,
    KINDS,
    OPEN,
    ClassSummary,
    Counts,
    Metadata,
    Origin,
    Spread,
)

__all__ = ["KINDS", "ImageSet", "Manifest"]


class ImageSet(Protocol):
    """What a manifest needs to know of a data set; ``noisebench.formats.face_set.FaceSet`` is one."""

    @property
    def keys(self) -> NDArray[np.int64]:
        """Keys of the images' records, [N], in record order, each once."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """Identities, [N], each at least 0 and below ``num_classes``."""

    @property
    def num_classes(self) -> int:
        """Number of identities."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what makes the set this set and no other."""

    @property
    def folder(self) -> Path:
        """Where the set lies, for messages."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """What was done to each image: columns [N] as in the module's table, ``kind`` as codes into ``KINDS``.

    The columns are read-only, and always consistent with each other.

    Raises:
        TypeError: A column has another type than ``COLUMNS`` says.
        ValueError: The columns differ in length, or a row contradicts itself; the row is named.
    """

    index: NDArray[np.int64]
    true_label: NDArray[np.int32]
    label: NDArray[np.int32]
    kind: NDArray[np.int8]
    source: NDArray[np.int8]
    source_index: NDArray[np.int64]
    source_label: NDArray[np.int32]
    origin: Origin

    def __post_init__(self) -> None:
        for name, dtype in COLUMNS.items():
            column = getattr(self, name).astype(dtype, casting="safe", copy=False).view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        if not len(self) or any(column.shape != (len(self),) for column in self.columns().values()):
            raise ValueError("the columns differ in length, or are empty")
        shows_outliers = self.origin.recipe.per_batch is not None and self.origin.recipe.per_batch.open > 0
        if (self.origin.fingerprints.outliers is None) == bool(shows_outliers or (self.source == FROM_OUTLIERS).any()):
            raise ValueError("an outlier set is named if and only if images come from it")
        for wrong, sentence in self._contradictions():
            if wrong.any():
                raise ValueError(f"row {int(wrong.argmax())}: {sentence}")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def num_train_classes(self) -> int:
        """Number of classes to train: the base set's identities, then the labels that splitting some of them made."""
        return self.origin.num_classes + self.origin.num_new_classes

    @property
    def num_base_images(self) -> int:
        """Number of images of the base set: one a row, and those that cleaning dropped."""
        return len(self) + (self.origin.cleaned.dropped if self.origin.cleaned is not None else 0)

    @property
    def base_label(self) -> NDArray[np.int32]:
        """The base set's labels, [N]: the truth where noise was made, the labels as found elsewhere."""
        return self.true_label if self.origin.known is None else self.source_label

    def columns(self) -> dict[str, NDArray[Any]]:
        """The seven columns by name, in order."""
        return {name: getattr(self, name) for name in COLUMNS}

    @cached_property
    def checksum(self) -> str:
        """SHA-256 in hexadecimal over the columns' little-endian bytes, one column after the other.

        The order and types are those of ``COLUMNS``: ``kind`` counts as one byte, 0 clean, 1 closed, 2 open.
        """
        digest = hashlib.sha256()
        for column in self.columns().values():
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()

    def metadata(self) -> Metadata:
        """What the manifest's file says of itself."""
        per_class = self.images_per_class()
        spreads = {kind: _spread(images) for kind, images in per_class.items()}
        return Metadata(
            **{name: getattr(self.origin, name) for name in Origin.model_fields},
            realised=Counts(**{kind: int(images.sum()) for kind, images in per_class.items()}),
            images_per_class=ClassSummary(**spreads),
            checksum=self.checksum,
        )

    def images_per_class(self) -> dict[str, NDArray[np.int64]]:
        """The number of images of each true class, int64 [num_classes], by kind."""
        return {
            name: np.bincount(self.true_label[self.kind == code], minlength=self.origin.num_classes)
            for code, name in enumerate(KINDS)
        }

    def check_against(self, base: ImageSet, outliers: ImageSet | None) -> None:
        """Make sure that the manifest was made for these data sets, and that every record it names is there.

        Raises:
            UserError: An outlier set is needed and none is given.
            FileError: It was made for other data; both fingerprints are given.
        """
        self.check_base(base)
        if outliers is not None:
            self.check_outliers(outliers)
        elif self.origin.fingerprints.outliers is not None:
            name = self.origin.recipe.name
            raise UserError(f"the noise manifest '{name}' takes images from an outlier set: name it with --outliers")

    def check_base(self, base: ImageSet) -> None:
        """Make sure that this is the data set the manifest was made for.

        Raises:
            FileError: It is another one; both fingerprints are given.
        """
        _check_fingerprint(base, self.origin.fingerprints.base, "data set")
        keys, labels = base.keys, base.labels
        if self.origin.cleaned is not None and len(keys) == self.num_base_images:
            remain = np.isin(keys, self.index)
            keys, labels = keys[remain], labels[remain]
        same_records = np.array_equal(self.index, keys) and np.array_equal(self.base_label, labels)
        if not same_records or self.origin.num_classes != base.num_classes:
            raise FileError(base.folder, "its records or labels are not those of the noise manifest", _MAKE_AGAIN)

    def check_outliers(self, outliers: ImageSet) -> None:
        """Make sure that the images the manifest takes from an outlier set, if any, come from this one.

        Raises:
            FileError: They come from another one; both fingerprints are given.
        """
        if self.origin.fingerprints.outliers is None:
            return
        _check_fingerprint(outliers, self.origin.fingerprints.outliers, "outlier set")
        if not np.isin(self.source_index[self.source == FROM_OUTLIERS], outliers.keys).all():
            raise FileError(outliers.folder, "a record that the noise manifest names is not in it", _MAKE_AGAIN)

    def write(self, path: Path) -> None:
        """Write the manifest as one Parquet file, whole or not at all.

        Equal manifests make equal files, byte for byte, with one version of pyarrow.

        Raises:
            FileError: The file could not be written.
        """
        manifest_file.write(path, self.columns(), self.metadata())

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest and check all that can be checked without its data sets.

        Raises:
            FileError: The file is missing, no manifest of this version, damaged, or was changed by hand.
        """
        columns, metadata = manifest_file.read(path)
        try:
            origin = Origin(**{name: getattr(metadata, name) for name in Origin.model_fields})
            manifest = cls(**columns, origin=origin)
        except ValueError as error:
            raise FileError(path, f"contradicts itself: {error}", "make the manifest again") from error
        if manifest.checksum != metadata.checksum:
            problem = f"changed after it was made: checksum {manifest.checksum}, expected {metadata.checksum}"
            raise FileError(path, problem, "make the manifest again")
        if manifest.metadata() != metadata:
            raise FileError(path, "its metadata counts other rows than it has", "make the manifest again")
        return manifest

    def _contradictions(self) -> Iterator[tuple[NDArray[np.bool_], str]]:
        """Rows that cannot be, [N], and what is wrong with them, rule by rule."""
        num_classes, num_labels, is_open = self.origin.num_classes, self.num_train_classes, self.kind == OPEN
        yield (self.index < 0) | (self.source_index < 0), "a record's key is negative"
        yield (self.true_label < 0) | (self.true_label >= num_classes), f"true_label is not below {num_classes}"
        yield (self.label < 0) | (self.label >= num_labels), f"label is not below {num_labels}"
        yield self.source_label < 0, "source_label is negative"
        yield (self.kind < CLEAN) | (self.kind > OPEN), "kind is none of clean, closed, open"
        yield (self.kind == CLEAN) & (self.label != self.true_label), "a clean image bears a wrong label"
        if self.origin.recipe.per_batch is not None:
            yield self.kind != CLEAN, "an image is noisy, but the noise is by batch"
        yield (self.kind == CLOSED) & (self.label == self.true_label), "a closed-set image bears its true label"
        replaced = is_open if self.origin.known is None else np.zeros_like(is_open)
        yield is_open & ~replaced & (self.label != self.true_label), "an image of nobody has a true label of its own"
        yield (
            self.source != np.where(replaced, np.int8(FROM_OUTLIERS), np.int8(FROM_BASE)),
            "source does not fit the kind",
        )
        as_found = self.origin.known is not None and self.origin.cleaned is None
        base_label = self.label if as_found else self.base_label
        own_image = (self.source_index == self.index) & (self.source_label == base_label)
        yield ~replaced & ~own_image, "an image of the base set is not read from its own record"


_MAKE_AGAIN = "use the data the manifest was made for, or make a manifest for this data"


def _check_fingerprint(images: ImageSet, expected: str, what: str) -> None:
    if images.fingerprint != expected:
        problem = (
            f"the noise manifest was made for another {what}: fingerprint {images.fingerprint}, expected {expected}"
        )
        raise FileError(images.folder, problem, _MAKE_AGAIN)


def _spread(images: NDArray[np.int64]) -> Spread:
    return Spread(min=int(images.min()), median=float(np.median(images)), max=int(images.max()))
