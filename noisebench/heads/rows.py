"""What the hooks of a method see of a batch: statistics of each row, those over all classes when first asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor

from noisebench.heads.angular import above
from noisebench.heads.collective import gather, world
from noisebench.heads.cosines import Cosines, fill_at
from noisebench.heads.head import Rows
from noisebench.heads.log_sum_exp import nearer


class Found(NamedTuple):
    """What a look at all classes but the label given finds for each row.

    Attributes:
        cosine: The largest cosine, [B].
        nearest: Its class, int64 [B].
        num_above: How many cosines exceed each threshold asked for, int64, of the thresholds' shape.
    """

    cosine: Tensor
    nearest: Tensor
    num_above: Tensor


class MethodRows(Rows):
    """The rows of a batch as the hooks of a method see them: detached, but for what is called live.

    Where the cosine matrix is not stored, to read ``cosine_nearest``, ``nearest`` or ``num_above`` before the loss is
    made costs one more product with the class centres; a method that reads none of them does not pay for them.

    Attributes:
        label: Label given, int64.
        live_norm: ``norm`` with its gradient.
        live_nearest: Largest cosine to a class other than ``used_label``, with its gradient; known to `target` and the
            hooks after it.
    """

    label: Tensor
    live_norm: Tensor
    live_nearest: Tensor

    def __init__(self, search: Callable[[], Found], **known: Tensor) -> None:
        self._search: Callable[[], Found]
        vars(self).update(known, _search=search)  # past the frozen base: only the engine makes these

    @cached_property
    def _found(self) -> Found:
        return self._search()

    @property
    def cosine_nearest(self) -> Tensor:
        """See `Rows`."""
        return self._found.cosine

    @property
    def nearest(self) -> Tensor:
        """See `Rows`."""
        return self._found.nearest

    @property
    def num_above(self) -> Tensor:
        """How many classes but the label given are above each threshold of `count_above`, int64, of their shape."""
        return self._found.num_above

    def but(self, **changed: Tensor) -> Self:
        """A copy with some attributes changed."""
        result = copy.copy(self)
        vars(result).update(changed)
        return result

    def searched_by(self, search: Callable[[], Found]) -> Self:
        """A copy with another search, yet to be done."""
        result = copy.copy(self)
        vars(result).update(_search=search)
        vars(result).pop("_found", None)
        return result

    def known(self, cosine_nearest: Tensor, nearest: Tensor) -> Self:
        """A copy that needs no search for the nearest class any more."""
        if "_found" in vars(self):
            return self
        return self.searched_by(lambda: Found(cosine_nearest, nearest, nearest.new_empty(len(nearest), 0)))

    def gathered(self) -> Self:
        """The rows of the batches of all processes, nothing live; with one process, these."""
        if world()[1] == 1:
            return self
        known = {name: gather(value.detach()) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return type(self)(lambda: Found(*map(gather, self._found)), **known)

    def plain(self, here: slice) -> Rows:
        """What goes into the log, free of graph and cosines; ``here``: of which rows."""
        return Rows(
            cosine_label=self.cosine_label[here],
            cosine_true=self.cosine_true[here],
            cosine_nearest=self.cosine_nearest[here],
            nearest=self.nearest[here],
            norm=self.norm[here],
            used_label=self.used_label[here],
        )


def search(cosines: Cosines, labels: Tensor, thresholds: Tensor) -> Found:
    """Look at all classes but the labels: the nearest, and how many lie above each threshold ([B] or [B, n])."""
    label = cosines.classes.positions(labels)
    nearest = torch.zeros_like(labels)
    largest = thresholds.new_full(labels.shape, -torch.inf)
    columns = thresholds.reshape(len(labels), -1)
    counts = torch.zeros_like(columns)
    for block in cosines:
        place = block.find(label)
        nearest, largest = nearer(block, place, nearest, largest)
        for column, count in zip(columns.T[..., None], counts.T, strict=True):
            is_above = above(block.cosines, column)
            fill_at(is_above, place, 0.0)
            count += is_above.sum(dim=1)
    largest, nearest = cosines.classes.largest(largest, cosines.classes.labels(nearest))
    counts = cosines.classes.sum(counts).to(torch.int64)
    return Found(largest.clamp(-1, 1), nearest, counts.view_as(thresholds))
