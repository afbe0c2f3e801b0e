"""Folders that take long to write: gone on with by the same task alone, and by one process at a time."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from datasets_tools.resumable import resumable_file, resumable_folder
from noisebench.errors import FileError


def _interrupt(out: Path, seed: int) -> None:
    """Write one of two files, and be stopped."""
    with contextlib.suppress(KeyboardInterrupt), resumable_folder(out, seed=seed) as partial:
        assert partial.done == {}
        (partial.path / "half").write_text("1")
        partial.save(files=1)
        raise KeyboardInterrupt


def test_an_interrupted_folder_is_gone_on_with_and_then_moved_to_its_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _interrupt(out, seed=1)
    assert not out.exists()
    with resumable_folder(out, seed=1) as partial:
        assert partial.done == {"files": 1}
    assert [path.name for path in out.iterdir()] == ["half"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_another_task_is_refused(tmp_path: Path) -> None:
    _interrupt(tmp_path / "out", seed=1)
    with pytest.raises(FileError, match="other data or arguments"), resumable_folder(tmp_path / "out", seed=2):
        pass


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        resumable_folder(tmp_path / "out", seed=1),
        pytest.raises(FileError, match="another process is writing it"),
        resumable_folder(tmp_path / "out", seed=1),
    ):
        pass


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("1")
    with pytest.raises(FileError, match="already exists"), resumable_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "mine").read_text() == "1"


def test_an_interrupted_file_is_gone_on_with_and_then_moved_to_its_place(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    out.write_text("old")
    for done in ({}, {"half": 1}):
        with contextlib.suppress(KeyboardInterrupt), resumable_file(out, seed=1) as partial:
            assert partial.done == {}
            if done:
                partial.save(**done)
            raise KeyboardInterrupt
        assert (tmp_path / "out.npy.part").exists() == bool(done)
    assert out.read_text() == "old"
    with pytest.raises(FileError, match="other data or arguments"), resumable_file(out, seed=2):
        pass
    with resumable_file(out, seed=1) as partial:
        assert partial.done == {"half": 1}
        (partial.path / out.name).write_text("new")
    assert out.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.npy"]
