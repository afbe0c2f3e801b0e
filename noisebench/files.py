"""Writing files whole or not at all, and fingerprints of bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noisebench.errors import FileError

REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EIO),
}
"""What the operating system answers when a file cannot be written."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it there once the block has ended without an error.

    A reader sees the old file or the complete new one, never half of it. Missing parent folders are made.

    Raises:
        FileError: The file could not be written (full disk, no permission). Nothing is left behind.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files; ours are as readable as any other
    temporary = Path(name)
    try:
        with explained(path):
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed left of the files it was writing in a folder or below.

    Nobody else may be writing there.
    """
    for file in folder.rglob(".*.part"):
        if file.is_file():
            file.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; move it there once the block has ended without an error.

    Raises:
        FileError: ``path`` already exists and is not an empty folder, or could not be written. Nothing is left behind.
    """
    with explained(path):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileError(path, "already exists", "choose another folder or remove it first")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        temporary.chmod(0o777 & ~_umask())
    try:
        with explained(path):
            yield temporary
            os.replace(temporary, path)
    except FileError as error:
        if temporary not in error.path.parents:
            raise
        place = path / error.path.relative_to(temporary)  # the name the file would have had
        raise FileError(place, error.problem, error.remedy) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into one clear line."""
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        refusal = refusal_behind(error)
        if refusal is None:
            raise
        if refusal.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FileError(path, "the disk is full, nothing was written", "free some space and try again") from error
        raise FileError(path, f"cannot be written: {refusal.strerror}", "choose a place you may write to") from error


def refusal_behind(error: BaseException | None) -> OSError | None:
    """The refusal an error comes from: libraries that write, such as torch, wrap it in errors of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return error
        error = error.__cause__ or error.__context__
    return None
