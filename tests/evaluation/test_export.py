"""Exported embeddings come back bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from noisebench.errors import UserError
from noisebench.evaluation.export import write_embeddings

VECTORS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
NAMES = ["a.jpg", "b.jpg", "b/c.jpg", "ä.jpg"]


def test_numpy(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "new" / "e.npy", VECTORS, NAMES)
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "e.npy"), VECTORS)


def test_parquet(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", VECTORS[:, ::-1], NAMES)
    table = pq.read_table(tmp_path / "e.parquet").to_pydict()
    assert table["name"] == NAMES
    assert table["embedding"] == VECTORS[:, ::-1].tolist()
    np.testing.assert_allclose(table["norm"], np.linalg.norm(VECTORS.astype(np.float64), axis=1))


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"did you mean '\.parquet'"):
        write_embeddings(tmp_path / "e.parket", VECTORS, NAMES)
    with pytest.raises(UserError, match="3 names for embeddings of shape"):
        write_embeddings(tmp_path / "e.npy", VECTORS, NAMES[:3])
    assert not list(tmp_path.iterdir())
