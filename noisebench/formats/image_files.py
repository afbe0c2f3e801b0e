"""Image files that lists and folders name, read with care: neither the names nor the files are trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from noisebench.formats.jpeg import ImageError

MAX_BYTES = 64 << 20
"""More than any image of the sides that are admitted needs."""

ENDINGS = frozenset({"jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp"})
"""What image files are told by. Those that are neither JPEG nor PNG are reported, not passed over."""


def read_image_file(path: Path | str) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageError: It is missing, no regular file, or too large to be an image.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - half as long as through Path, for millions of files
        if not stat.S_ISREG(found.st_mode):  # reading from a pipe would wait for ever
            raise ImageError("not a regular file")
        check_num_bytes(found.st_size)
        with open(path, "rb") as stream:  # noqa: PTH123 - as above
            return stream.read(MAX_BYTES)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def check_num_bytes(num_bytes: int) -> None:
    """Refuse what is too large to be an image, before it is read.

    Raises:
        ImageError: It is.
    """
    if num_bytes > MAX_BYTES:
        raise ImageError(f"{num_bytes} bytes, no image of the admitted sides is larger than {MAX_BYTES}")


def path_inside(root: Path, name: str) -> str:
    """The path of a file that a list names relative to ``root``.

    Raises:
        ValueError: The name leads out of ``root``.
    """
    if not name.startswith("/") and ".." not in name:  # almost all of millions
        return f"{root}/{name}"
    top = os.path.normpath(root.absolute())
    path = os.path.normpath(root.absolute() / name)
    if os.path.commonpath((top, path)) != top:
        raise ValueError(f"'{name}' leads out of {root}")
    return path
