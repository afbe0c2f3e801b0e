"""Auditing a noise manifest: does it hold what its recipe and seed say, and of the data set it was made for?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_tools.make_noise import counts_asked, image_sources, noisy_labels
from noisebench.errors import UserError
from noisebench.noise.manifest import KINDS, ImageSet, Manifest
from noisebench.noise.schema import OPEN


@dataclass(frozen=True)
class AuditReport:
    """What an audit found. ``str(report)`` is the report to print.

    Args:
        manifest: The manifest that was audited.
        compared: What it was compared with.
        differences: A sentence for each difference; none if the manifest is what it says.
    """

    manifest: Manifest
    compared: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __str__(self) -> str:
        origin = self.manifest.origin
        lines = [
            f"noise     {origin.recipe.name}, seed {origin.seed}",
            f"checksum  {self.manifest.checksum}",
            f"images    {len(self.manifest)} of {origin.num_classes} classes",
            f"compared  with {', '.join(self.compared)}",
            "",
            *self._table(),
            "",
            *(f"DIFFERS: {difference}" for difference in self.differences),
        ]
        return "\n".join([*lines, "" if self.differences else "no difference"]).rstrip()

    def _table(self) -> list[str]:
        """Counts and rates of each kind: asked, realised, and how the rate differs between classes."""
        per_class = self.manifest.images_per_class()
        class_sizes = np.sum(list(per_class.values()), axis=0)
        rows = [("kind", "asked", "realised", "rate", "rate by class: min", "median", "max")]
        for kind, images in per_class.items():
            rates = images[class_sizes > 0] / class_sizes[class_sizes > 0]
            low, middle, high = (f"{rate:.2%}" for rate in np.percentile(rates, (0, 50, 100)))
            asked, realised = getattr(self.manifest.origin.asked, kind), int(images.sum())
            rows.append((kind, str(asked), str(realised), f"{realised / len(self.manifest):.4%}", low, middle, high))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def audit(manifest: Manifest, base: ImageSet | None = None, outliers: ImageSet | None = None) -> AuditReport:
    """Compare a manifest with what its recipe and seed make, and with its data sets where they are given.

    Kinds and labels are always made again, from the manifest's own keys and true labels; ``base`` shows whether those
    are the data set's. Which outlier replaces which image is made again only where ``outliers`` is given.
    """
    if not (manifest.kind == OPEN).any():
        outliers = None
    given = [images for images in (base, outliers) if images is not None]
    try:
        if base is not None:
            manifest.check_base(base)
        if outliers is not None:
            manifest.check_outliers(outliers)
        differences = [*_count_differences(manifest), *_row_differences(manifest, outliers)]
    except UserError as error:
        differences = [str(error)]
    return AuditReport(manifest, ("its recipe", *(str(images.folder) for images in given)), tuple(differences))


def _count_differences(manifest: Manifest) -> Iterator[str]:
    origin = manifest.origin
    expected = counts_asked(origin.recipe, manifest.true_label, origin.num_classes)
    for kind, images in manifest.images_per_class().items():
        recipe, asked, realised = getattr(expected, kind), getattr(origin.asked, kind), int(images.sum())
        if not recipe == asked == realised:
            yield f"{kind} images: the recipe makes {recipe}, the manifest asks for {asked} and has {realised}"


def _row_differences(manifest: Manifest, outliers: ImageSet | None) -> Iterator[str]:
    origin = manifest.origin
    kind, label = noisy_labels(origin.recipe, manifest.index, manifest.true_label, origin.num_classes, origin.seed)
    expected: dict[str, NDArray[Any]] = {"kind": kind, "label": label}
    if outliers is not None:
        images = image_sources(kind, manifest.index, manifest.true_label, outliers, origin.seed)
        expected |= dict(zip(("source", "source_index", "source_label"), images, strict=True))
    for name, column in expected.items():
        found = manifest.columns()[name]
        rows = np.flatnonzero(found != column)
        if len(rows):
            row, key = rows[0], manifest.index[rows[0]]
            here, there = (KINDS[values[row]] if name == "kind" else values[row] for values in (found, column))
            where = f"{len(rows)} rows, first in row {row} (record {key})"
            yield f"column '{name}' differs in {where}: {here}, but the recipe makes {there}"
