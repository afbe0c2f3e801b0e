"""The cached index against the text it was made from: equal, or not used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisebench.errors import FileError
from noisebench.formats import checked_arrays, index_cache, record_index
from noisebench.formats.record_index import RecordIndex

ORDERS = {
    "ascending": [0, 1, 2, 3, 4],
    "header last": [1, 2, 3, 0, 4],
    "shuffled": [12, 10, 13, 11, 14],
    "with holes": [3, 50, 51, 700, 701],
    "shuffled with holes": [50, 3, 701, 51, 700],
}


@pytest.fixture(autouse=True)
def _cache_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "MIN_BYTES", 0)
    monkeypatch.setattr(index_cache, "_SETTLED_NS", -1 << 62)


def write(path: Path, keys: list[int]) -> Path:
    path.write_text("".join(f"{key}\t{100 * line}\n" for line, key in enumerate(keys)))
    return path


def forbid_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(path: Path) -> None:
        raise AssertionError(f"{path} was parsed")

    monkeypatch.setattr(record_index, "_parse", parse)


@pytest.mark.parametrize("keys", ORDERS.values(), ids=ORDERS)
def test_the_cache_says_what_the_text_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[int]) -> None:
    idx = write(tmp_path / "a.idx", keys)
    RecordIndex.read(idx)
    forbid_parsing(monkeypatch)
    index = RecordIndex.read(idx)
    assert index.keys.tolist() == keys
    assert index.offsets.tolist() == [0, 100, 200, 300, 400]
    assert [index.offset(key) for key in keys] == index.offsets.tolist()
    assert index.offsets_of(np.array(keys[::-1])).tolist() == [400, 300, 200, 100, 0]
    for key in {*range(-1, 800)} - {*keys}:
        assert key not in index
    with pytest.raises(FileError, match="key 800 is not listed"):
        index.offset(800)


def append(idx: Path) -> None:
    idx.write_bytes(idx.read_bytes() + b"20000\t9000000\n")


def exchange_two_lines(idx: Path) -> None:
    lines = idx.read_bytes().splitlines(keepends=True)
    idx.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))


def change_within_and_set_the_time_back(idx: Path) -> None:
    """Where neither the size nor the hash of the ends can tell."""
    before = idx.stat().st_mtime_ns
    text = bytearray(idx.read_bytes())
    middle = text.index(b"\n", len(text) // 2)
    text[middle - 2 : middle] = b"44"
    idx.write_bytes(text)
    os.utime(idx, ns=(before, before))


@pytest.mark.parametrize("change", [append, exchange_two_lines, change_within_and_set_the_time_back])
def test_a_changed_index_is_read_anew(tmp_path: Path, change: Any) -> None:
    idx = write(tmp_path / "a.idx", [*range(20_000)])
    RecordIndex.read(idx)
    old = index_cache.state_of(idx)
    change(idx)
    assert index_cache.state_of(idx) != old
    expected = [tuple(map(int, line.split(b"\t"))) for line in idx.read_bytes().splitlines()]
    for _ in range(2):  # from the text, then from the new cache
        index = RecordIndex.read(idx)
        assert list(zip(index.keys.tolist(), index.offsets.tolist(), strict=True)) == expected


def test_a_small_or_new_index_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idx = write(tmp_path / "a.idx", [0, 1, 2])
    monkeypatch.setattr(index_cache, "_SETTLED_NS", 2_000_000_000)
    RecordIndex.read(idx)
    monkeypatch.setattr(index_cache, "_SETTLED_NS", -1 << 62)
    monkeypatch.setattr(index_cache, "MIN_BYTES", 1 << 20)
    RecordIndex.read(idx)
    assert [path.name for path in tmp_path.iterdir()] == ["a.idx"]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idx = write(tmp_path / "a.idx", [0, 1, 2])

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(checked_arrays, "write", refuse)
    assert RecordIndex.read(idx).keys.tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.idx"]


def test_a_faulty_index_is_not_cached(tmp_path: Path) -> None:
    idx = tmp_path / "a.idx"
    idx.write_text("1\t0\n1\t100\n")
    for _ in range(2):
        with pytest.raises(FileError, match="key 1 is listed twice"):
            RecordIndex.read(idx)
    assert not index_cache.path_of(idx).exists()


@given(
    offsets=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
    sorted_keys=st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
    order=st.none() | st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 5), max_size=6),
    first_key=st.integers(-(2**70), 2**70) | st.text(max_size=2) | st.none() | st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cache_made_to_harm_is_refused_or_harmless(
    tmp_path: Path, offsets: list[int], sorted_keys: list[int] | None, order: list[int] | None, first_key: object
) -> None:
    """Checksums and state are right, the content is not: at worst it is a wrong index, which is checked like any."""
    idx = write(tmp_path / "a.idx", [0, 1, 2])
    about = {"state": index_cache.state_of(idx), "first_key": first_key}
    columns = {"offsets": (offsets, np.int64), "sorted_keys": (sorted_keys, np.int64), "order": (order, np.uint32)}
    arrays = {name: np.array(values, dtype=dtype) for name, (values, dtype) in columns.items() if values is not None}
    checked_arrays.write(index_cache.path_of(idx), index_cache._KIND, about, arrays)
    index = RecordIndex.read(idx)
    assert len(index.keys) == len(index.offsets)
    for key in [-1, 0, 1, 2, 5, 2**62, *index.keys.tolist()]:
        if key in index:
            assert index.offset(key) in index.offsets
    try:
        index.check_against(Path("a.rec"), 1000)
    except FileError:
        return
    assert all(0 <= offset <= 992 and offset % 4 == 0 for offset in index.offsets.tolist())
