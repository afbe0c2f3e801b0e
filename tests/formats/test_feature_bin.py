"""Feature files against OpenCV's layout written out by hand, and files that lie."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import FileError
from noisebench.formats import feature_bin


def by_hand(*numbers: float) -> bytes:
    return struct.pack(f"<4i{len(numbers)}f", len(numbers), 1, 4, 5, *numbers)


def test_the_layout_is_that_of_an_opencv_matrix(tmp_path: Path) -> None:
    path = tmp_path / "new" / "0.jpg_arcface.bin"
    feature_bin.write(path, np.array([1.5, -2, 0]))
    assert path.read_bytes() == by_hand(1.5, -2, 0)
    assert feature_bin.read(path).tolist() == [1.5, -2, 0]
    assert feature_bin.read(path).dtype == np.float32


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "0 bytes; expected 'rows, 1, 4, 5'"),
        (by_hand(1, 2)[:-1], "23 bytes, its header tells of 24"),
        (by_hand(1, 2) + b"\0", "25 bytes, its header tells of 24"),
        (by_hand(1, float("nan")), "component 1 is not finite"),
        (struct.pack("<4i", 2**31 - 1, 1, 4, 5), "its header is (2147483647, 1, 4, 5)"),
        (struct.pack("<4i", -5, 1, 4, 5), "its header is (-5, 1, 4, 5)"),
        (struct.pack("<4i", 0, 1, 4, 5), "its header is (0, 1, 4, 5)"),
        (struct.pack("<4i", 1, 1, 8, 6) + bytes(8), "its header is (1, 1, 8, 6)"),
        (struct.pack(">4i", 1, 1, 4, 5) + bytes(4), "its header is"),
    ],
)
def test_what_is_none_is_an_error(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(FileError) as caught:
        feature_bin.read(path)
    assert problem in caught.value.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.bin: cannot be read"):
        feature_bin.read(tmp_path / "none.bin")


@given(st.binary(max_size=64))
def test_any_bytes_are_a_vector_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert feature_bin.encode(feature_bin.decode(data)) == data
