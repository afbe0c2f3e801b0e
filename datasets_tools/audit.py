"""Auditing a noise manifest: does it hold what its recipe and seed say, and of the data set it was made for?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_tools.audit_report import AuditReport
from datasets_tools.exclusion import Exclusion
from datasets_tools.known_list import KnownList
from datasets_tools.made_again import Files
from datasets_tools.make_noise import counts_asked
from datasets_tools.neighbours import Neighbours
from noisebench.errors import UserError
from noisebench.noise.manifest import KINDS, ImageSet, Manifest


def audit(
    manifest: Manifest,
    base: ImageSet | None = None,
    outliers: ImageSet | None = None,
    *,
    neighbours: Neighbours | None = None,
    exclusion: Exclusion | None = None,
    known: KnownList | None = None,
) -> AuditReport:
    """Compare a manifest with what its recipe and seed make, and with its data sets where they are given.

    Kinds and labels are always made again, from the manifest's own keys and the base set's labels as it has them;
    ``base`` shows whether those are the data set's. Which outlier replaces which image is made again only where
    ``outliers`` is given, and what follows a further file only where that is given too: the labels of hard flips
    ``neighbours``, the choice of outliers ``exclusion``, and what was found in a real set the list of it, ``known``.
    """
    origin, files = manifest.origin, Files(neighbours, exclusion, known)
    if origin.fingerprints.outliers is None:
        outliers = None
    given = [images for images in (base, outliers) if images is not None]
    try:
        if base is not None:
            manifest.check_base(base)
        if outliers is not None:
            manifest.check_outliers(outliers)
        made_again = files.columns(manifest, outliers)
        differences = [
            *files.differences(origin),
            *_count_differences(manifest),
            *_row_differences(manifest, made_again),
        ]
    except UserError as error:
        differences = [str(error)]
    made = origin.known is None and origin.cleaned is None
    compared = "its recipe" if made else "its list" if known and origin.cleaned is None else "itself"
    folders = (str(images.folder) for images in given)
    return AuditReport(manifest, (compared, *folders), tuple(differences), tuple(files.missing(origin)))


def _count_differences(manifest: Manifest) -> Iterator[str]:
    origin = manifest.origin
    expected = origin.asked
    if origin.known is None and origin.cleaned is None and origin.recipe.protocol is None:
        expected = counts_asked(origin.recipe, manifest.true_label, origin.num_classes, origin.seed)
    for kind, images in manifest.images_per_class().items():
        recipe, asked, realised = getattr(expected, kind), getattr(origin.asked, kind), int(images.sum())
        if not recipe == asked == realised:
            yield f"{kind} images: the recipe makes {recipe}, the manifest asks for {asked} and has {realised}"


def _row_differences(manifest: Manifest, expected: dict[str, NDArray[Any]]) -> Iterator[str]:
    authority = "recipe makes" if manifest.origin.known is None else "list says"
    for name, column in expected.items():
        found = manifest.columns()[name]
        rows = np.flatnonzero(found != column)
        if len(rows):
            row, key = rows[0], manifest.index[rows[0]]
            here, there = (KINDS[values[row]] if name == "kind" else values[row] for values in (found, column))
            where = f"{len(rows)} rows, first in row {row} (record {key})"
            yield f"column '{name}' differs in {where}: {here}, but the {authority} {there}"
