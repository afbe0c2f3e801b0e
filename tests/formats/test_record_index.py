"""The text index against lines read one by one, and against every fault it can have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import FileError
from noisebench.formats import record_index
from noisebench.formats.record_index import RecordIndex


def index_of(path: Path, text: str) -> RecordIndex:
    path.write_bytes(text.encode())
    return RecordIndex.read(path)


ROWS = st.tuples(st.integers(0, 2**40) | st.integers(0, 9), st.integers(0, 2**50))


@given(rows=st.lists(ROWS, min_size=1, unique_by=(lambda row: row[0], lambda row: row[1])))
def test_keys_in_any_order(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]]) -> None:
    path = tmp_path_factory.mktemp("index") / "a.idx"
    index = index_of(path, "".join(f"{key}\t{offset}\n" for key, offset in rows))
    assert list(zip(index.keys.tolist(), index.offsets.tolist(), strict=True)) == rows
    assert [index.offset(key) for key, _ in rows] == [offset for _, offset in rows]
    keys = np.array([key for key, _ in reversed(rows)])
    assert index.offsets_of(keys).tolist() == [offset for _, offset in reversed(rows)]


def test_blocks_are_cut_at_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_index, "_BYTES_AT_ONCE", 7)
    index = index_of(tmp_path / "a.idx", "".join(f"{key}\t{key * 4}\n" for key in range(500)))
    assert index.keys.tolist() == list(range(500))
    assert index.offsets.tolist() == list(range(0, 2000, 4))
    with pytest.raises(FileError, match=r"line 4: .*found b'x"):
        index_of(tmp_path / "a.idx", "1\t0\n2\t4\n3\t8\nx\t12\n")


@given(
    digits=st.tuples(st.integers(1, 17), st.integers(2, 17)),
    numbers=st.lists(st.tuples(st.integers(0, 10**18), st.integers(0, 10**18)), min_size=1),
)
def test_lines_of_one_length_are_read_as_any(
    tmp_path_factory: pytest.TempPathFactory, digits: tuple[int, int], numbers: list[tuple[int, int]]
) -> None:
    rows = {key % 10 ** digits[0]: offset % 10 ** digits[1] for key, offset in numbers}
    rows = {key: offset for offset, key in {offset: key for key, offset in rows.items()}.items()}
    text = "".join(f"{key:0{digits[0]}}\t{offset:0{digits[1]}}\n" for key, offset in rows.items())
    index = index_of(tmp_path_factory.mktemp("index") / "a.idx", text)
    assert dict(zip(index.keys.tolist(), index.offsets.tolist(), strict=True)) == rows


@pytest.mark.parametrize("place", [1, 250, 499])
def test_keys_may_count_up_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    monkeypatch.setattr(record_index, "_BYTES_AT_ONCE", 64)
    keys = [*range(7, 7 + place), *range(2000, 2000 - (500 - place), -1)]
    index = index_of(tmp_path / "a.idx", "".join(f"{key}\t{row * 4}\n" for row, key in enumerate(keys)))
    assert index.keys.tolist() == keys
    assert [index.offset(key) for key in keys] == index.offsets.tolist() == list(range(0, 2000, 4))


def test_last_line_may_lack_its_end_and_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    assert index_of(tmp_path / "a.idx", "1\t0\n2\t4").keys.tolist() == [1, 2]
    assert index_of(tmp_path / "a.idx", "1\t0\r\n2\t4\r\n").offsets.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1\t0\nx\t4\n", "line 2: expected 'key<TAB>offset', found b'x"),
        ("1\t0\n2\t4.5\n", "line 2: expected 'key<TAB>offset', found b'2"),
        ("1\t0\n2\n", "line 2: expected 'key<TAB>offset', found b'2"),
        ("1\t0\n\n2\t4\n", "line 2: expected 'key<TAB>offset', found b'"),
        ("1\t0\t3\n", "line 1: expected 'key<TAB>offset', found b'1"),
        ("1\t0\n-2\t4\n", "line 2: expected 'key<TAB>offset', found b'-2"),
        ("1\t0\n2\t-4\n", "line 2: expected 'key<TAB>offset', found b'2"),
        ("\x89PNG\0\0\n", "line 1: expected 'key<TAB>offset', found b'"),
        ("1\t0\n2\t4\n1\t8\n", "key 1 is listed twice"),
        ("1\t0\n2\t4\n0\t8\n2\t12\n", "key 2 is listed twice"),
        ("1\t0\n2\t4\n3\t0\n", "line 3: key 3 points to byte 0, as key 1 does"),
        ("", "the index is empty"),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        index_of(tmp_path / "a.idx", text)
    assert caught.value.path == tmp_path / "a.idx"
    assert problem in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("offset", "problem"),
    [
        ("96", "line 2: key 7 points to byte 96, past the end of a.rec (100 bytes)"),
        ("99999999999999999999999", "line 2: key 7 points to byte"),
        ("9223372036854775804", "line 2: key 7 points to byte 9223372036854775804, past the end"),
        ("6", "line 2: key 7 points to byte 6, no multiple of 4"),
    ],
)
def test_an_offset_outside_the_file_is_named(tmp_path: Path, offset: str, problem: str) -> None:
    index = index_of(tmp_path / "a.idx", f"1\t0\n7\t{offset}\n")
    with pytest.raises(FileError) as caught:
        index.check_against(Path("a.rec"), 100)
    assert problem in caught.value.problem
    index_of(tmp_path / "a.idx", "1\t0\n7\t92\n").check_against(Path("a.rec"), 100)


@pytest.mark.parametrize("key", [0, 4, 9])
def test_a_key_that_is_not_listed_is_named(tmp_path: Path, key: int) -> None:
    index = index_of(tmp_path / "a.idx", "5\t0\n3\t4\n8\t8\n")
    with pytest.raises(FileError, match=f"key {key} is not listed"):
        index.offset(key)
    with pytest.raises(FileError, match=f"key {key} is not listed"):
        index.offsets_of(np.array([3, key]))
