"""Lists of numbers: what is read, and how the first fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from noisebench.errors import FileError
from noisebench.formats import plain_text
from noisebench.formats.plain_text import number_columns

LIST = Path("list.txt")


def test_columns_are_read_by_their_number() -> None:
    a, b = number_columns(LIST, b"x.jpg 5  -7\ny.jpg\t6 8 \n\n", (1, 2))
    assert (a.tolist(), b.tolist()) == ([5, 6], [-7, 8])
    (a,) = number_columns(LIST, b"TEMPLATE,FILE\n3,#1.jpg\n4,2.jpg\n", (0,), separator=",", header=True)
    assert a.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "lists nothing"),
        (b"\n\n", "lists nothing"),
        (b"1 2\n\n3 x\n", "line 3 is '3 x'; expected whole numbers in columns [1, 2]"),
        (b"1 2\n3\n", "line 2 is '3'"),
        (b"1 2\n3 4.5\n", "line 2 is '3 4.5'"),
        (b"1 2\n3 99999999999999999999\n", "line 2 is '3 9999"),
        (b"1 2\n3 \xff\n", "line 2 is"),
    ],
)
def test_the_first_fault_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        number_columns(LIST, data, (0, 1))
    assert problem in caught.value.problem


def test_a_list_is_a_regular_file_of_admitted_size(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="not a regular file"):
        plain_text.read_bytes(tmp_path)
    (tmp_path / "list").write_bytes(b"12345")
    with pytest.raises(FileError, match="larger than 4 bytes"):
        plain_text.read_bytes(tmp_path / "list", max_bytes=4)
    with pytest.raises(FileError, match="none: cannot be read"):
        plain_text.read_bytes(tmp_path / "none")
