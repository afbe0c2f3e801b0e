"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path

import pytest

from noisebench.errors import FileError
from noisebench.files import remove_leftovers, sha256_of, whole_file, whole_folder, write_text


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with whole_file(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail_half_way() -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with whole_file(tmp_path / "file.txt"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileError, match="disk is full, nothing was written"):
        fill_the_disk()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_really_full_device_is_told_too(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with whole_file(tmp_path / "file.txt"), Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(FileError, match="disk is full"):
        fill_the_disk()


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with whole_folder(target) as temporary:
        (temporary / "a").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_with_something_in_it_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("precious")

    def overwrite() -> None:
        with whole_folder(tmp_path / "set"):
            raise AssertionError("the block must not be entered")

    with pytest.raises(FileError, match="already exists"):
        overwrite()
    assert (tmp_path / "set" / "mine").read_text() == "precious"


def test_new_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=re.escape("cannot be written")):
        write_text(tmp_path / "file" / "below", "x")


def test_sha256(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "faces")
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"faces").hexdigest()


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    kept = [tmp_path / "table.part", tmp_path / "below" / ".hidden", tmp_path / ".folder.part" / "file"]
    kept[-1].parent.mkdir()
    for file in (*kept, tmp_path / ".a.parquet.x1.part", tmp_path / "below" / ".b.json.x2.part"):
        file.touch()
    remove_leftovers(tmp_path)
    assert sorted(file for file in tmp_path.rglob("*") if file.is_file()) == sorted(kept)
