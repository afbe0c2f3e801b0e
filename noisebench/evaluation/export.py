"""Embeddings as files for other programs: a NumPy array, or a Parquet table with the images' names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisebench.errors import UserError, did_you_mean
from noisebench.files import whole_file

ENDINGS = (".npy", ".parquet")


def write_embeddings(path: Path, vectors: NDArray[np.float32], names: Sequence[str]) -> None:
    """Write embeddings, whole or not at all.

    A ``.npy`` file holds the vectors alone; a ``.parquet`` file the columns ``name``, ``norm``, and ``embedding``, a
    list of fixed length. Both keep every bit.

    Args:
        path: The file; its ending says which.
        vectors: float32 [N, D].
        names: N names of the images.

    Raises:
        UserError: The ending is another, or there are not as many names as vectors.
    """
    if path.suffix not in ENDINGS:
        raise UserError(f"{path}: embeddings are not written as '{path.suffix}': {did_you_mean(path.suffix, ENDINGS)}")
    if vectors.ndim != 2 or len(names) != len(vectors):
        raise UserError(f"{len(names)} names for embeddings of shape {vectors.shape}: expected one for each of [N, D]")
    vectors = np.ascontiguousarray(vectors, np.float32)
    with whole_file(path) as temporary:
        if path.suffix == ".npy":
            with temporary.open("wb") as stream:
                np.save(stream, vectors)
        else:
            pq.write_table(_table(vectors, names), temporary)


def _table(vectors: NDArray[np.float32], names: Sequence[str]) -> pa.Table:
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return pa.table({"name": pa.array(names, pa.string()), "norm": pa.array(norms), "embedding": embedding})
