"""What takes long to write: made in a folder beside its place, kept when interrupted, and moved there once whole."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisebench.errors import FileError
from noisebench.files import write_text

_JOURNAL = "journal.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class PartialFolder:
    """A folder in the making.

    Attributes:
        path: Where it is being made.
        task: What is being made, so that nothing else is gone on with.
        done: How far it has come, as last saved; empty at the beginning.
    """

    path: Path
    task: Mapping[str, Any]
    done: dict[str, int]

    def save(self, **done: int) -> None:
        """Note how far it has come: what this counts is on the disk."""
        write_text(self.path / _JOURNAL, json.dumps({"task": self.task, "done": done}, indent=1) + "\n")
        self.done = done


@contextmanager
def resumable_folder(path: Path, **task: Any) -> Iterator[PartialFolder]:
    """Give the folder ``<path>.part``; rename it to ``path`` once the block has ended without an error.

    An interrupted block leaves it, and the next one with the same task gets it again as it was.

    Args:
        path: The folder to make.
        task: Whatever its content depends on, as values that JSON can hold.

    Raises:
        FileError: ``path`` exists and is not an empty folder, ``<path>.part`` was begun for another task or another
            process works on it, or the disk is full or refuses to be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileError(path, "already exists", "choose another folder or remove it first")
    with _partial_folder(path, task) as partial:
        yield partial
        os.replace(partial.path, path)  # before the journal goes: a kill in between leaves a whole folder
        (path / _JOURNAL).unlink()


@contextmanager
def resumable_file(path: Path, **task: Any) -> Iterator[PartialFolder]:
    """Give the folder ``<path>.part``; of what the block leaves in it, ``path.name`` becomes ``path``.

    A block interrupted after it has saved leaves the folder, and the next one with the same task gets it again.

    Args:
        path: The file to make; replaced if it is there.
        task: Whatever its content depends on, as values that JSON can hold.

    Raises:
        FileError: As of `resumable_folder`, but for a ``path`` that exists.
    """
    with _partial_folder(path, task) as partial:
        try:
            yield partial
            os.replace(partial.path / path.name, path)
        except BaseException:
            if partial.done:
                raise
            shutil.rmtree(partial.path, ignore_errors=True)
            raise
        shutil.rmtree(partial.path)


@contextmanager
def _partial_folder(path: Path, task: Mapping[str, Any]) -> Iterator[PartialFolder]:
    partial = path.parent / f"{path.name}.part"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with _alone_in(partial):
            yield _begin(partial, task)
    except OSError as error:
        if error.errno in _FULL:
            remedy = "free some space and give the same command again: it goes on from here"
            raise FileError(partial, "the disk is full", remedy) from error
        raise FileError(partial, f"cannot be written: {error.strerror}", "choose a place you may write to") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of a partial folder; the lock ends with the process, however that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise FileError(folder, "another process is writing it", "wait for it, or choose another folder") from error
    try:
        yield
    finally:
        os.close(handle)


def _begin(folder: Path, task: Mapping[str, Any]) -> PartialFolder:
    """A new partial folder, or the one that an earlier call for the same task has left."""
    journal = folder / _JOURNAL
    if not journal.exists():
        if any(folder.iterdir()):
            raise FileError(folder, "is in the way: it holds no begun work", "remove it or choose another folder")
        partial = PartialFolder(folder, task, {})
        partial.save()
        return partial
    try:
        content = json.loads(journal.read_text(encoding="utf-8"))
        begun, done = content["task"], {str(name): int(value) for name, value in content["done"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(journal, "damaged", f"remove {folder} and begin again") from error
    if begun != json.loads(json.dumps(task)):
        raise FileError(folder, "was begun with other data or arguments", "remove it or choose another folder")
    return PartialFolder(folder, task, done)
