"""Templates: several images and videos of one person as one vector, and the scores of many pairs of templates.

As IJB-B and IJB-C are evaluated by InsightFace: the features of the images of one medium (the frames of a video) are
averaged, the averages of all media of a template are added up, and the sum is brought to unit length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError

BLOCK_FLOATS = 1 << 24
"""Scores held at a time: 64 MB."""

_CHEAPER_ALL = 32
"""Scoring all pairs of two lists by a matrix product is about as fast as gathering one in this many of them."""

Features = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Templates:
    """Pooled templates.

    Attributes:
        ids: int64 [T], ascending.
        vectors: float32 [T, D] of unit length; all zero where the features add up to nothing.
    """

    ids: Numbers
    vectors: Features

    def rows(self, ids: Numbers) -> Numbers:
        """The rows of templates [N].

        Raises:
            UserError: A template has no images.
        """
        check_known(self.ids, ids)
        return np.searchsorted(self.ids, ids)


def check_known(known: Numbers, templates: Numbers) -> None:
    """Make sure that all templates [N] are among the known ones [T], which are ascending.

    Raises:
        UserError: They are not: a template has no images.
    """
    missing = known[np.minimum(np.searchsorted(known, templates), len(known) - 1)] != templates
    if missing.any():
        raise UserError(f"template {templates[np.argmax(missing)]} has no image ({missing.sum()} mentions of such)")


def pool(blocks: Iterable[Features], templates: Numbers, media: Numbers) -> Templates:
    """Pool the features of images into templates.

    Args:
        blocks: Features float32 [B, D] of successive images, N in all; only the sums by medium are kept.
        templates: int64 [N], the template of each image.
        media: int64 [N], its medium; the same number in two templates is two media.

    Raises:
        UserError: A feature is not finite, or there are not N of them.
    """
    ids, template = np.unique(templates, return_inverse=True)
    media_ids, medium = np.unique(media, return_inverse=True)
    groups, group, sizes = np.unique(template * len(media_ids) + medium, return_inverse=True, return_counts=True)
    sums, start = np.zeros((0, 0), np.float32), 0
    for block in blocks:
        if start == 0:
            sums = np.zeros((len(groups), block.shape[1]), np.float32)
        check_finite(block, start)
        _add(sums, group[start : start + len(block)], block)
        start += len(block)
    if start != len(templates) or start == 0:
        raise UserError(f"{start} features for {len(templates)} images of templates")
    sums /= sizes[:, None].astype(np.float32)
    first_medium = np.searchsorted(groups, np.arange(len(ids)) * len(media_ids))
    return Templates(ids, unit(np.add.reduceat(sums, first_medium, axis=0)))


def check_finite(block: Features, start: int) -> None:
    """Check the features [B, D] of the images from number ``start`` on.

    Raises:
        UserError: One is not finite.
    """
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        raise UserError(f"the embedding of image {start + int(np.argmin(finite))} is not finite")


def unit(vectors: NDArray[np.floating]) -> Features:
    """Vectors [N, D] at unit length, float32; an all-zero one stays zero."""
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    norms[norms == 0] = 1
    return np.asarray(vectors / norms[:, None], np.float32)


def pair_scores(vectors: Features, first: Numbers, second: Numbers) -> Features:
    """Inner products [P] of the vectors [T, D] in rows ``first`` and ``second``, int64 [P].

    Where the pairs are many of all that their rows could form, whole blocks of those are multiplied.
    """
    rows, columns = np.unique(first), np.unique(second)
    if len(rows) * len(columns) > _CHEAPER_ALL * len(first):
        return _gathered_scores(vectors, first, second)
    row, column = (_places(vectors, chosen)[pairs] for chosen, pairs in ((rows, first), (columns, second)))
    ascending = bool((row[1:] >= row[:-1]).all())
    order = None if ascending else np.argsort(row, kind="stable")
    step = max(1, BLOCK_FLOATS // len(columns))
    others = np.ascontiguousarray(vectors[columns].T)
    bounds = np.searchsorted(row, np.append(np.arange(0, len(rows), step), len(rows)), sorter=order)
    scores = np.empty(len(first), np.float32)
    for number, (begin, end) in enumerate(pairwise(bounds)):
        pairs = slice(begin, end) if order is None else order[begin:end]
        block = vectors[rows[number * step : (number + 1) * step]] @ others
        scores[pairs] = block[row[pairs] - number * step, column[pairs]]
    return scores


def _gathered_scores(vectors: Features, first: Numbers, second: Numbers) -> Features:
    step = max(1, BLOCK_FLOATS // (8 * vectors.shape[1]))
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), step):
        pairs = slice(start, start + step)
        np.einsum("pd,pd->p", vectors[first[pairs]], vectors[second[pairs]], out=scores[pairs])
    return scores


def _places(vectors: Features, chosen: Numbers) -> NDArray[np.int32]:
    """For each row of the vectors, its place among the chosen rows."""
    places = np.zeros(len(vectors), np.int32)
    places[chosen] = np.arange(len(chosen), dtype=np.int32)
    return places


def _add(sums: Features, groups: Numbers, block: Features) -> None:
    """Add each row of the block [B, D] to the sum of its group."""
    order = np.argsort(groups, kind="stable")
    found, starts = np.unique(groups[order], return_index=True)
    sums[found] += np.add.reduceat(block[order], starts, axis=0)
