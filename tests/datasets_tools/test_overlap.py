"""Identities shared by two sets, by names and by centres."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from datasets_tools import overlap
from datasets_tools.exclusion import Exclusion
from datasets_tools.names import write_names
from datasets_tools.overlap import Identities, Shared, mutual_nearest, normal_name, shared_by_centre, shared_by_name
from noisebench.cli import main
from noisebench.errors import FileError, UserError
from noisebench.formats.listing import Listing


def named(path: Path, *people: str) -> Path:
    """A names file of a set with one, two, three, ... images of these people."""
    labels = np.repeat(np.arange(len(people), dtype=np.int32), np.arange(len(people)) + 1)
    images = pa.chunked_array([[f"{number}.jpg" for number in range(len(labels))]], type=pa.large_string())
    write_names(path, Listing(images, labels, people, lambda _: b""), [], 1)
    return path


def unnamed(path: str, labels: NDArray[np.int32], num_classes: int) -> Identities:
    return Identities(Path(path), labels, num_classes, {})


def test_names_are_compared_as_they_are_and_normalised(tmp_path: Path) -> None:
    a = Identities.open(named(tmp_path / "a.parquet", "José_Núñez", "m.0abc", "Ann", "ann", "Bo Lee", "!!"))
    b = Identities.open(named(tmp_path / "b.parquet", "ann", "jose nunez", "Eve", "/m/0abc", "BO-LEE", "??"))
    assert shared_by_name(a, b) == [
        Shared(3, "ann", 0, "ann", "name"),
        Shared(0, "José_Núñez", 1, "jose nunez", "normalised name"),
        Shared(1, "m.0abc", 3, "/m/0abc", "normalised name"),
        Shared(4, "Bo Lee", 4, "BO-LEE", "normalised name"),
    ]


def test_all_identities_of_one_normalised_name_are_listed(tmp_path: Path) -> None:
    a = Identities.open(named(tmp_path / "a.parquet", "Ann", "ANN", "x"))
    b = Identities.open(named(tmp_path / "b.parquet", "ann"))
    assert [(pair.label_a, pair.label_b) for pair in shared_by_name(a, b)] == [(0, 0), (1, 0)]


@pytest.mark.parametrize(("name", "normal"), [("Straße 9", "strasse9"), ("日本", "日本"), (" _-", ""), ("Ⅸ", "ix")])
def test_normal_names(name: str, normal: str) -> None:
    assert normal_name(name) == normal


def test_numbers_are_no_names(tmp_path: Path) -> None:
    a = Identities.open(named(tmp_path / "a.parquet", "0", "1"))
    b = Identities.open(named(tmp_path / "b.parquet", "set/0", "set/1"))
    with pytest.raises(FileError, match="numbers, no names"):
        shared_by_name(a, b)


@pytest.mark.parametrize(("rows", "block"), [((40, 30), 1 << 26), ((40, 30), 500), ((7, 90), 4), ((1, 1), 4)])
def test_mutual_nearest_equals_the_whole_matrix(
    rows: tuple[int, int], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "_BLOCK_BYTES", block)
    generator = np.random.default_rng(0)
    a, b = (generator.integers(-3, 4, (count, 5)).astype(np.float32) for count in rows)
    matrix = a @ b.T
    expected = [
        (i, j) for i in range(rows[0]) for j in range(rows[1]) if j == matrix[i].argmax() and i == matrix[:, j].argmax()
    ]
    found_a, found_b, best = mutual_nearest(a, b)
    assert sorted(zip(found_a.tolist(), found_b.tolist(), strict=True)) == expected
    np.testing.assert_array_equal(best, matrix[found_a, found_b])


@pytest.fixture
def people() -> NDArray[np.float64]:
    """Directions of 30 people, [30, 16]."""
    vectors = np.random.default_rng(1).standard_normal((30, 16))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize("per_image", [True, False])
def test_people_in_both_sets_are_found_by_their_centres(
    per_image: bool, people: NDArray[np.float64], tmp_path: Path
) -> None:
    """The second set has people 15 to 29 in reversed order; the first all."""
    generator = np.random.default_rng(2)
    sets = {"a": np.arange(30), "b": np.arange(29, 14, -1)}
    for name, who in sets.items():
        rows = np.repeat(people[who], 3, axis=0) if per_image else people[who]
        noisy = rows + 0.05 * generator.standard_normal(rows.shape)
        np.save(tmp_path / f"{name}.npy", (noisy * generator.uniform(1, 9, (len(rows), 1))).astype(np.float32))
    a, b = (unnamed(name, np.repeat(np.arange(len(who), dtype=np.int32), 3), len(who)) for name, who in sets.items())
    pairs = shared_by_centre(a, b, tmp_path / "a.npy", tmp_path / "b.npy", 0.7)
    assert sorted((pair.label_b, pair.label_a) for pair in pairs) == [(label, 29 - label) for label in range(15)]
    cosines = [pair.cosine for pair in pairs]
    assert cosines == sorted(cosines, key=lambda cosine: -(cosine or 0))
    assert all(cosine is not None and 0.9 < cosine <= 1 for cosine in cosines)
    assert not [
        pair for pair in shared_by_centre(b, a, tmp_path / "b.npy", tmp_path / "a.npy", 1.0) if pair.cosine != 1
    ]


def test_a_cosine_is_at_most_1_though_directions_are_rounded(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    np.save(tmp_path / "a.npy", vectors)
    a = unnamed("a", np.arange(200, dtype=np.int32), 200)
    rounded = np.rint(vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * 2048)
    assert (rounded**2).sum(axis=1).max() > 2048**2
    pairs = shared_by_centre(a, a, tmp_path / "a.npy", tmp_path / "a.npy", 0.9)
    assert len(pairs) == 200
    assert max(pair.cosine or 0 for pair in pairs) == 1


def test_an_identity_without_images_is_nobodys_nearest(people: NDArray[np.float64], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", people[:3].astype(np.float32))
    a = unnamed("a", np.array([0, 2, 4], dtype=np.int32), 5)
    pairs = shared_by_centre(a, a, tmp_path / "a.npy", tmp_path / "a.npy", 0.5)
    assert sorted(pair.label_a for pair in pairs) == [0, 2, 4]


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("it ran",))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.array([Trap()], dtype=object), "damaged"),
        (np.ones((4, 2, 1)), "expected floating-point numbers"),
        (np.ones((4, 2), dtype=np.int64), "expected floating-point numbers"),
        (np.ones((3, 2)), "has 3 rows"),
        (np.array([[1.0, np.nan]] * 4), "not finite"),
        (np.ones((4, 5)), "vectors of 5 numbers, those of"),
    ],
)  # fmt: skip
def test_a_bad_array_is_refused(
    array: NDArray[np.generic], match: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "good.npy", np.ones((4, 2), dtype=np.float32))
    np.save(tmp_path / "bad.npy", array, allow_pickle=True)
    a = unnamed("a", np.arange(4, dtype=np.int32), 4)
    with pytest.raises(FileError, match=match):
        shared_by_centre(a, a, tmp_path / "good.npy", tmp_path / "bad.npy", 0.5)
    assert "it ran" not in capsys.readouterr().out


def test_a_threshold_is_a_cosine(tmp_path: Path) -> None:
    a = unnamed("a", np.arange(4, dtype=np.int32), 4)
    with pytest.raises(UserError, match="above 0, at most 1"):
        shared_by_centre(a, a, tmp_path / "a.npy", tmp_path / "a.npy", 70)


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def sets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        named(Path("a.parquet"), "Ann", "Bo", "new\nline")
        named(Path("b.parquet"), "Eve", "ann", "Bo", "new\nline")

    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["noisebench", "data", "overlap", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(str(caught.value.code))

    def test_the_list_is_what_noise_leaves_out(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "a.parquet", "b.parquet", "--out", "shared.txt") == 0
        assert Exclusion.read(Path("shared.txt")).labels.tolist() == [1, 2, 3]
        assert "3 identities of B are in A too" in capsys.readouterr().out

    def test_json(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(monkeypatch, "a.parquet", "b.parquet", "--json", "--out", "shared.txt") == 0
        pairs = json.loads(capsys.readouterr().out)
        assert pairs[0] == {
            "label_a": 0, "name_a": "Ann", "label_b": 1, "name_b": "ann", "by": "normalised name", "cosine": None
        }  # fmt: skip

    def test_by_embeddings(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        np.save("a.npy", np.eye(3, 4, dtype=np.float32))
        np.save("b.npy", np.eye(4, dtype=np.float32)[::-1])
        assert self.run(monkeypatch, "a.parquet", "b.parquet", "--embeddings", "a.npy", "b.npy") == 0
        out = capsys.readouterr().out
        assert "3 identities of B are in A too" in out
        assert "new?line" in out

    @pytest.mark.parametrize("wrong", [["none.parquet"], ["a.npy"], ["."]])
    def test_a_mistake_is_one_line(
        self, wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        np.save("a.npy", np.eye(3))
        assert self.run(monkeypatch, *wrong, "b.parquet") == 2
        assert capsys.readouterr().err.count("\n") == 1
