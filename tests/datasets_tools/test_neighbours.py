"""Who is similar to whom: against a slow search, and against files that are something else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from datasets_tools import neighbours
from datasets_tools.neighbours import Neighbours
from noisebench.errors import FileError, UserError
from tests.fabricated import fabricated_set

BASE = fabricated_set(60)
GENERATOR = np.random.Generator(np.random.Philox(0))
CENTRES = GENERATOR.normal(size=(60, 32)).astype(np.float32)


def saved(folder: Path, array: NDArray[np.generic], name: str = "centres.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def find(path: Path, count: int = 5) -> Neighbours:
    return Neighbours.find(path, count, BASE.labels, 60)


def cosines(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    matrix = np.asarray(unit @ unit.T)
    np.fill_diagonal(matrix, -np.inf)
    return matrix


def test_the_neighbours_are_those_of_the_whole_matrix(tmp_path: Path) -> None:
    """Cosines are rounded to about 2e-4: no neighbour is further than that from the one a full search finds."""
    path = saved(tmp_path, CENTRES)
    found = find(path)
    assert found.labels.shape == (60, 5)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    matrix = cosines(CENTRES)
    best = -np.sort(-matrix, axis=1)[:, :5]
    np.testing.assert_allclose(np.take_along_axis(matrix, found.labels.astype(np.int64), axis=1), best, atol=2e-3)
    assert all(len(set(row)) == 5 for row in found.labels.tolist())


def test_blocks_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, GENERATOR.normal(size=(len(BASE.keys), 16)))
    whole = find(path)
    monkeypatch.setattr(neighbours, "_BLOCK_BYTES", 4 * 60 * 7)
    np.testing.assert_array_equal(find(path).labels, whole.labels)


def test_equally_similar_ones_come_in_the_order_of_their_labels(tmp_path: Path) -> None:
    same = np.ones((60, 4), dtype=np.float32)
    found = find(saved(tmp_path, same), count=3)
    assert found.labels[0].tolist() == [1, 2, 3]
    assert found.labels[2].tolist() == [0, 1, 3]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_length_and_type_of_the_numbers_do_not_matter(tmp_path: Path, dtype: str) -> None:
    halves = CENTRES.astype(np.float16)
    expected = find(saved(tmp_path, halves)).labels
    scaled = halves.astype(dtype) * np.array(2.0, dtype=dtype) ** (np.arange(60) % 5)[:, None]
    np.testing.assert_array_equal(find(saved(tmp_path, scaled.astype(dtype))).labels, expected)


@given(vectors=arrays(np.float32, (4, 3), elements=st.floats(-1, 1, width=32).filter(lambda x: abs(x) > 1e-3)))
def test_products_of_directions_are_whole_and_small_enough_for_any_order_of_adding(
    vectors: NDArray[np.float32],
) -> None:
    directions = neighbours._directions(vectors, Path("x"))
    np.testing.assert_array_equal(directions, np.rint(directions))
    assert np.abs(directions @ directions.T).max() < 2**24
    unit = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    assert np.abs(directions / 2048 - unit).max() <= 0.5001 / 2048


def test_embeddings_stand_for_the_mean_of_their_directions(tmp_path: Path) -> None:
    embeddings = CENTRES[BASE.labels] + 0.3 * GENERATOR.normal(size=(len(BASE.labels), 32))
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = np.stack([unit[BASE.labels == label].mean(axis=0) for label in range(60)])
    best = -np.sort(-cosines(means), axis=1)[:, :5]
    found = find(saved(tmp_path, embeddings.astype(np.float32))).labels
    np.testing.assert_allclose(np.take_along_axis(cosines(means), found.astype(np.int64), axis=1), best, atol=2e-3)


def test_an_identity_without_images_is_nobodys_neighbour(tmp_path: Path) -> None:
    labels = np.repeat(np.array([0, 1, 3, 4], dtype=np.int32), 2)
    path = saved(tmp_path, GENERATOR.normal(size=(8, 4)))
    found = Neighbours.find(path, 3, labels, 6)
    assert sorted(found.labels[0].tolist()) == [1, 3, 4]
    assert sorted(found.labels[4].tolist()) == [0, 1, 3]
    with pytest.raises(UserError, match=r"^hard flips draw from 4 neighbours, but there are only 3 other identities"):
        Neighbours.find(path, 4, labels, 6)


def changed(row: int, value: float) -> NDArray[np.float32]:
    array = CENTRES.copy()
    array[row] = value
    return array


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (CENTRES[:59], "has 59 rows, but the data set 60 identities and"),
        (CENTRES[0], "found float32 [32]"),
        (CENTRES[:, :0], "its vectors have 0 numbers"),
        (np.zeros((60, 9000), dtype=np.float16), "its vectors have 9000 numbers"),
        (CENTRES.astype(np.int32), "found int32 [60, 32]"),
        (changed(17, np.nan), "row 17 has a number that is not finite"),
        (changed(17, -np.inf), "row 17 has a number that is not finite"),
        (changed(17, 0), "row 17 is zero and so has no direction"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_that_is_no_set_of_centres_is_refused(
    tmp_path: Path, array: NDArray[np.generic], complaint: str
) -> None:
    path = saved(tmp_path, array)
    with pytest.raises(FileError) as caught:
        find(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_array_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file of class centres"):
        find(tmp_path / "none.npy")
    pickled = np.empty(60, dtype=object)
    np.save(tmp_path / "pickled.npy", pickled, allow_pickle=True)
    np.savez(tmp_path / "several.npz", a=CENTRES, b=CENTRES)
    good = saved(tmp_path, CENTRES).read_bytes()
    contents = [b"", b"\x93NUMPY", good[:100], good[:-1], good.replace(b"(60, 32)", b"(60,932)"), b"hello " * 99]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.npy").write_bytes(content)
    for name in ["pickled.npy", "several.npz", *(f"{number}.npy" for number in range(len(contents)))]:
        with pytest.raises(FileError) as caught:
            find(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(caught.value)
