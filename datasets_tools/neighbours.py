"""Which identities look alike, by a file of class centres or of embeddings: what hard flips draw from.

Every machine finds the same neighbours: the components of unit vectors are rounded to multiples of 1/2048, which moves
a cosine by some 2e-4. So a cosine's products and sums are whole numbers below 2^24, which float32 holds exactly in
whatever order a library for linear algebra adds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from noisebench.errors import FileError, UserError
from noisebench.files import sha256_of
from noisebench.noise.recipe import NoiseRecipe

MAX_SIZE = 8192
"""Several times the largest face embedding there is; more columns are damage."""

STEPS = 2048.0
"""A unit vector's components are rounded to multiples of 1 / ``STEPS``."""

_BLOCK_BYTES = 64 << 20
_GROUP = 64
_REMEDY = "give an .npy file of class centres [classes, size] or of embeddings [images, size], in the data set's order"


@dataclass(frozen=True)
class Neighbours:
    """The identities most similar to each identity.

    Attributes:
        labels: Nearest first, ties by label, int32 [C, k]; means nothing for an identity without images.
        sha256: Of the file that they were found in.
    """

    labels: NDArray[np.int32]
    sha256: str

    @classmethod
    def find(cls, path: Path, count: int, labels: NDArray[np.int32], num_classes: int) -> Neighbours:
        """The ``count`` identities whose centres have the highest cosine to each one's, the same on every machine.

        Compares block after block of identities with all others, so no [C, C] matrix is ever made. That takes 2 C^2 D
        operations: about two minutes of one core at 85,742 identities of 512 numbers.

        Args:
            path: An .npy file of class centres [C, D], or of embeddings [N, D] in record order, of which an identity's
                centre is the mean direction.
            count: How many neighbours to find, k.
            labels: True labels of the data set, int32 [N].
            num_classes: Number of identities C.

        Raises:
            FileError: It is no such file, has another shape, or a row is not finite or has no direction.
            UserError: There are not as many other identities with a centre.
        """
        directions = class_directions(path, labels, num_classes)
        return cls(_nearest_of_all(directions, count), sha256_of(path))


def find_neighbours(
    recipe: NoiseRecipe, centres: Path | None, labels: NDArray[np.int32], num_classes: int
) -> Neighbours | None:
    """Who is similar to whom, as `Neighbours.find` has it; None where no file is named or the recipe asks for none."""
    if centres is None or recipe.closed.neighbours is None:
        return None
    return Neighbours.find(centres, recipe.closed.neighbours, labels, num_classes)


def class_directions(path: Path, labels: NDArray[np.int32], num_classes: int) -> NDArray[np.float32]:
    """Directions of the identities' centres: unit vectors in whole steps of 1 / ``STEPS``.

    Args:
        path: An .npy file of class centres [C, D], or of embeddings [N, D] in record order.
        labels: True labels of the data set, int32 [N].
        num_classes: Number of identities C.

    Returns:
        float32 [C, D], whole numbers up to ``STEPS``; zeros where there are no images.

    Raises:
        FileError: It is no such file, has another shape, or a row is not finite or has no direction.
    """
    vectors = _open(path)
    if len(vectors) == num_classes:
        return _directions(vectors, path)
    if len(vectors) != len(labels):
        problem = f"has {len(vectors)} rows, but the data set {num_classes} identities and {len(labels)} images"
        raise FileError(path, problem, _REMEDY)
    sums = _sums_by_class(vectors, path, labels, num_classes)
    present = np.bincount(labels, minlength=num_classes) > 0
    directions = np.zeros(sums.shape, dtype=np.float32)
    directions[present] = _directions(sums[present], path)
    return directions


def _nearest_of_all(directions: NDArray[np.float32], count: int) -> NDArray[np.int32]:
    """The ``count`` nearest others of every row that is not zero, int32 [C, count]."""
    present = np.flatnonzero(directions.any(axis=1))
    if count >= len(present):
        others = max(len(present) - 1, 0)
        raise UserError(f"hard flips draw from {count} neighbours, but there are only {others} other identities")
    if len(present) < len(directions):
        directions = directions[present]
    found = np.zeros((int(present[-1]) + 1, count), dtype=np.int32)
    block = max(1, _BLOCK_BYTES // (4 * len(present)))
    with tqdm(total=len(present), desc="neighbours", unit="identity", delay=2, leave=False, disable=None) as bar:
        for start in range(0, len(present), block):
            rows = np.arange(start, min(start + block, len(present)))
            found[present[rows]] = present[_nearest(directions, rows, count)]
            bar.update(len(rows))
    return found


def _nearest(directions: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The ``count`` rows with the highest inner products with each of these rows, themselves excepted: [B, count]."""
    similar = directions[rows] @ directions.T
    similar[np.arange(len(rows)), rows] = -np.inf
    # The highest of each of many groups: `count` of these bound the `count`-th highest of all from below.
    size = min(_GROUP, len(directions) // count)
    groups = similar[:, : len(directions) // size * size].reshape(len(rows), size, -1).max(axis=1)
    least = np.partition(groups, -count, axis=1)[:, -count, None]
    row, other = np.nonzero(similar >= least)  # at least `count` a row, and few more
    order = np.lexsort((other, -similar[row, other], row))
    first = np.searchsorted(row, np.arange(len(rows)))
    nearest: NDArray[np.int64] = other[order[first[:, None] + np.arange(count)]]
    return nearest


def _open(path: Path) -> NDArray[np.floating]:
    """The file's array [rows, D], mapped and not yet read, with its form checked."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileError(path, "no such file of class centres or embeddings") from None
    except (OSError, ValueError, EOFError, MemoryError, SyntaxError, TypeError, OverflowError) as error:
        raise FileError(path, "no .npy file of numbers, or damaged", _REMEDY) from error
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f":
        found = f"{vectors.dtype} {list(vectors.shape)}" if isinstance(vectors, np.ndarray) else "several arrays"
        raise FileError(path, f"expected floating-point numbers [rows, size], found {found}", _REMEDY)
    if not 1 <= vectors.shape[1] <= MAX_SIZE:
        raise FileError(path, f"its vectors have {vectors.shape[1]} numbers, expected 1 to {MAX_SIZE}", _REMEDY)
    return vectors


def _directions(vectors: NDArray[np.number], path: Path) -> NDArray[np.float32]:
    """Unit vectors in whole steps of 1 / STEPS, float32 [rows, D]."""
    directions = np.empty(vectors.shape, dtype=np.float32)
    for rows in _blocks(vectors.shape):
        directions[rows] = np.rint(_unit(vectors[rows], path, rows.start) * STEPS)
    return directions


def _sums_by_class(
    vectors: NDArray[np.floating], path: Path, labels: NDArray[np.int32], num_classes: int
) -> NDArray[np.int32]:
    """The sum of the images' directions, [C, D]: of whole numbers, so that the order of adding does not matter."""
    sums = np.zeros((num_classes, vectors.shape[1]), dtype=np.int32)
    for rows in _blocks(vectors.shape):
        order = np.argsort(labels[rows], kind="stable")
        own = labels[rows][order]
        first = np.flatnonzero(np.diff(own, prepend=-1))
        steps = np.rint(_unit(vectors[rows], path, rows.start) * STEPS).astype(np.int32)
        sums[own[first]] += np.add.reduceat(steps[order], first, axis=0)
    return sums


def _unit(vectors: NDArray[np.number], path: Path, first_row: int) -> NDArray[np.float64]:
    """The vectors at length 1, float64 [n, D].

    Lengths come from whole numbers, the components relative to the largest in steps of 2^-24: a sum of squares of
    floating-point numbers would depend on the order in which a machine adds.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True).astype(np.float64)
    bad = ~(np.isfinite(largest) & (largest > 0))[:, 0]
    if bad.any():
        row = int(bad.argmax())
        problem = "is zero and so has no direction" if largest[row] == 0 else "has a number that is not finite"
        raise FileError(path, f"row {first_row + row} {problem}", _REMEDY)
    whole = np.rint(vectors / largest * 2.0**24).astype(np.int64)
    length = np.sqrt((whole * whole).sum(axis=1, keepdims=True).astype(np.float64))
    return np.asarray(whole / length)


def _blocks(shape: tuple[int, ...]) -> list[slice]:
    """Slices of rows that hold ``_BLOCK_BYTES`` as float64."""
    step = max(1, _BLOCK_BYTES // (8 * shape[1]))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
