"""The cosines of a batch to class centres, block by block of classes, and the way back from their gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from noisebench.heads.classes import Classes

SMALLEST_NORM = 1e-12
GROUP = 64


class Place(NamedTuple):
    """Where in a block of classes one class of each row stands.

    Attributes:
        column: Its column, int64 [B, 1]; some valid one where the block does not hold it.
        inside: Whether the block holds it, bool [B, 1].
    """

    column: Tensor
    inside: Tensor


class Block(NamedTuple):
    """The cosines to n neighbouring classes.

    Attributes:
        start: Position of the first class.
        cosines: [B, n], each to the nearest sub-centre of the class.
        winners: Which sub-centre that is, int64 [B, n]; None where a class has one centre.
    """

    start: int
    cosines: Tensor
    winners: Tensor | None

    def find(self, positions: Tensor) -> Place:
        """Where the classes at these positions [B], one for each row, stand in this block."""
        column = (positions - self.start)[:, None]
        clamped = column.clamp(0, self.cosines.shape[1] - 1)
        return Place(clamped, column == clamped)


class Cosines:
    """The matrix of cosines of a batch to the classes used, without gradient, as blocks of classes.

    Stored, it is computed once and turned into its gradient in place. Else the matrix never exists: the first blocks,
    half of them at most, are kept, and any other lives for one step of a loop and is computed anew in each.

    Args:
        units: Unit embeddings [B, D].
        centres: Centres of the classes held here, [C, D] or, with K sub-centres each, [C, K, D], of any length.
        classes: Which of them are used.
        classes_per_block: How many classes a block holds.
        stored: Whether to store the matrix.
        dtype: Of the products' factors.
        most_kept: Of a matrix that is not stored, how many bytes of blocks may be kept from one loop to the next.
    """

    def __init__(
        self,
        units: Tensor,
        centres: Tensor,
        classes: Classes,
        *,
        classes_per_block: int,
        stored: bool,
        dtype: torch.dtype,
        most_kept: int = 0,
    ) -> None:
        self.classes = classes
        self._units, self._factor, self._dtype = units, units.to(dtype), dtype
        self._held = centres if centres.dim() == 3 else centres[:, None]
        used = self._held if classes.sample is None else self._held[classes.sample]
        self._num_sub_centres = used.shape[1]
        self._centres = used.flatten(0, 1)
        self._inverse_norms = units.new_empty(len(self._centres))
        self._size = classes_per_block
        self._starts = range(0, len(used), classes_per_block)
        self.is_stored = stored
        self._num_kept = len(self._starts) if stored else min(len(self._starts) // 2, most_kept // self._block_bytes())
        self._kept: dict[int, Block] = {}
        self._seen: set[int] = set()
        self._last_converted = (-1, units)

    def __iter__(self) -> Iterator[Block]:
        """The blocks; their cosines are not to be changed."""
        return map(self._block, self._starts)

    def at(self, labels: Tensor) -> Tensor:
        """The cosine of each row to the class in ``labels`` [B], within [-1, 1]; NaN where there is no such class.

        It is computed in float64 whatever the products' precision, and of classes that are not used as well.
        """
        found = self.classes.sum(self._computed_at(labels)[0])
        return torch.where(self.classes.exists(labels), found, torch.nan).clamp(-1, 1)

    def sub_centre(self, labels: Tensor) -> Tensor:
        """The nearest sub-centre of the class in ``labels`` [B], int64 [B]."""
        return self.classes.sum(self._computed_at(labels)[1])

    def take(self) -> Iterator[Block]:
        """The blocks, each for the last time and to be changed at will.

        Raises:
            RuntimeError: They have been taken before.
        """
        if self.is_stored and not self._kept:
            raise RuntimeError("backward ran twice: the first time has turned the cosine matrix into its gradient")
        for start in reversed(self._starts):
            yield self._kept.pop(start) if start in self._kept else self._compute(start)

    def new_gradient(self) -> Tensor:
        """Room for the gradient of the centres used, to be filled by `add_gradient`."""
        return torch.empty_like(self._centres)

    def add_gradient(self, block: Block, grad: Tensor, grad_units: Tensor, grad_centres: Tensor) -> None:
        """Bring the gradient of a taken block's cosines to the embeddings and the centres.

        Args:
            block: The block; used up.
            grad: Gradient of its cosines [B, n]; used up.
            grad_units: Gradient of the unit embeddings [B, D], added to.
            grad_centres: Gradient of the centres used; that of the block's classes is written.
        """
        here = self._rows(block.start)
        centres, inverse_norms = self._centres[here], self._inverse_norms[here]
        # d cos / d centre = (unit - cos · centre / |centre|) / |centre|; the second part sums over the rows.
        along = self._spread(block.cosines.mul_(grad), block.winners).sum(dim=0).mul_(inverse_norms.square())
        grad = self._spread(grad, block.winners).mul_(inverse_norms)
        out = grad_centres[here]
        if self._dtype == grad.dtype:
            grad_units.addmm_(grad, centres)
            torch.mm(grad.T, self._units, out=out)
        else:
            grad = grad.to(self._dtype)
            grad_units.add_(torch.mm(grad, self._converted(block.start)))
            out.copy_(torch.mm(grad.T, self._factor))
        out.addcmul_(centres, along[:, None], value=-1)

    def held_gradient(self, grad_centres: Tensor) -> Tensor:
        """The gradient of the centres as they were given, [C, D] or [C, K, D], 0 for those not used."""
        if self.classes.sample is None:
            return grad_centres
        held = torch.zeros_like(self._held)
        held[self.classes.sample] = grad_centres.view(-1, *held.shape[1:])
        return held

    def _computed_at(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine to the nearest sub-centre of each row's class, and which that is; 0 where it is not held here.

        In float64, for it costs next to nothing and every other logit is taken relative to the label's.
        """
        rows = self.classes.rows(labels)
        centres, units = self._held[rows.clamp(min=0)].double(), self._units.double()[:, None]
        lengths = torch.linalg.vector_norm(centres, dim=2) * torch.linalg.vector_norm(units, dim=2)
        cosines = torch.linalg.vecdot(centres, units).mul_(inverse(lengths)).to(self._units.dtype)
        largest, winner = cosines.max(dim=1)
        return torch.where(rows < 0, 0.0, largest), torch.where(rows < 0, 0, winner)

    def _block(self, start: int) -> Block:
        if start in self._kept:
            return self._kept[start]
        block = self._compute(start)
        if start < self._num_kept * self._size:
            self._kept[start] = block
        return block

    def _block_bytes(self) -> int:
        winner = torch.int64.itemsize if self._num_sub_centres > 1 else 0
        return len(self._units) * self._size * (self._units.element_size() + winner)

    def _compute(self, start: int) -> Block:
        here = self._rows(start)
        if start not in self._seen:
            self._inverse_norms[here] = inverse(torch.linalg.vector_norm(self._centres[here], dim=1))
            self._seen.add(start)
        # Scaling the product's columns costs B x n; normalised centres would cost n x D, and be kept.
        product = torch.mm(self._factor, self._converted(start).T).to(self._units.dtype).mul_(self._inverse_norms[here])
        if self._num_sub_centres == 1:
            return Block(start, product, None)
        return Block(start, *product.view(len(product), -1, self._num_sub_centres).max(dim=2))

    def _converted(self, start: int) -> Tensor:
        """The centres of a block in the precision of the products' factors."""
        if self._last_converted[0] != start:
            self._last_converted = (start, self._centres[self._rows(start)].to(self._dtype))
        return self._last_converted[1]

    def _rows(self, start: int) -> slice:
        return slice(start * self._num_sub_centres, (start + self._size) * self._num_sub_centres)

    def _spread(self, values: Tensor, winners: Tensor | None) -> Tensor:
        """Values of classes [B, n] as values of sub-centres [B, n · K]: at the winner, and 0 elsewhere."""
        if winners is None:
            return values
        spread = values.new_zeros(*values.shape, self._num_sub_centres)
        return spread.scatter_(2, winners[..., None], values[..., None]).flatten(1)


def unit_vectors(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [B, D] scaled to length 1, and their lengths [B]; differentiable. A zero row stays zero, with gradient 0."""
    norms = torch.linalg.vector_norm(vectors, dim=1)
    return vectors * inverse(norms)[:, None], norms


def inverse(norms: Tensor) -> Tensor:
    """1 / norm, and 0 for a norm of 0: a zero vector has no direction, so it neither attracts nor learns."""
    return torch.where(norms < SMALLEST_NORM, 0.0, 1 / norms.clamp(min=SMALLEST_NORM))


def fill_at(values: Tensor, place: Place, value: float) -> None:
    """Set, in place, the entry of each row [B, n] at its place."""
    kept = values.gather(1, place.column)
    values.scatter_(1, place.column, torch.where(place.inside, value, kept))


def add_at(values: Tensor, place: Place, added: Tensor) -> None:
    """Add, in place, ``added`` [B] to the entries of the rows [B, n] at their places."""
    values.scatter_add_(1, place.column, torch.where(place.inside, added[:, None], 0.0))


def largest_but(values: Tensor, place: Place) -> tuple[Tensor, Tensor]:
    """The largest entry of each row but that at its place: [B], and its column, int64 [B]."""
    kept = values.gather(1, place.column)
    values.scatter_(1, place.column, torch.where(place.inside, -torch.inf, kept))
    largest, column = largest_of(values)
    values.scatter_(1, place.column, kept)
    return largest, column


def largest_of(block: Tensor) -> tuple[Tensor, Tensor]:
    """The largest entry of each row, [B], and its column, int64 [B]; the first of equals.

    It looks for the group of columns first: on a CPU ``amax`` takes a sixth of the time of ``max``, which knows where.
    """
    size = block.shape[1]
    if size < 2 * GROUP:
        return block.max(dim=1)
    last = block[:, -GROUP:].amax(dim=1, keepdim=True)  # begins within the group before, where there is a rest
    group = torch.cat([block.unfold(1, GROUP, GROUP).amax(dim=2), last], dim=1).argmax(dim=1, keepdim=True)
    start = (group * GROUP).clamp(max=size - GROUP)
    largest, column = block.gather(1, start + torch.arange(GROUP, device=block.device)).max(dim=1)
    return largest, column + start.squeeze(1)
