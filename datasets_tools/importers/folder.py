"""A folder of images: one folder an identity, image files in it, as ``identity/image.jpg``.

Identities and images are taken in the byte order of their names, so labels and keys are the same on every file system.
Links to files and folders are followed, but nothing deeper than the images: a loop of links has no end to reach.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets_tools.image_files import ENDINGS, read_image_file
from datasets_tools.importers._listing import Listing, Options, Texts, as_text
from noisebench.errors import FileError

_EXPECTED = "expected one folder an identity, with images in it"


def recognises(source: Path) -> bool:
    """Whether it is a folder, and not that of a RecordIO set."""
    return source.is_dir() and not (source / "train.rec").exists()


def list_images(sources: Sequence[Path], options: Options) -> Listing:
    """Find the images of a folder.

    Raises:
        FileError: There is more than one folder, it cannot be read, or images do not lie in identities' folders.
    """
    if len(sources) != 1:
        raise FileError(sources[1], "a second folder of images", "bring the identities into one folder, or import each")
    top = os.fsencode(sources[0])
    paths = Texts()
    labels: list[NDArray[np.int32]] = []
    identities: list[str] = []
    try:
        for identity in _identities(sources[0]):
            images = sorted(entry.name for entry in os.scandir(top + b"/" + identity) if _is_image(entry.name))
            for image in images:
                paths.append(identity + b"/" + image)
            if images:
                labels.append(np.full(len(images), len(identities), dtype=np.int32))
                identities.append(identity.decode("utf-8", "backslashreplace"))
    except OSError as error:
        raise FileError(os.fsdecode(error.filename), f"cannot be read: {error.strerror}", _EXPECTED) from error
    if not identities:
        raise FileError(sources[0], "no image in any folder of it", _EXPECTED)
    files = paths.finish()

    def read(place: int) -> bytes:
        return read_image_file(os.fsdecode(top + b"/" + files[place].as_py()))

    return Listing(as_text(files), np.concatenate(labels), identities, read)


def _identities(source: Path) -> Iterator[bytes]:
    """The names of the identities' folders, in order."""
    for entry in sorted(os.scandir(os.fsencode(source)), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith(b"."):
            yield entry.name
        elif _is_image(entry.name):
            raise FileError(Path(os.fsdecode(entry.path)), "an image outside of any identity's folder", _EXPECTED)


def _is_image(name: bytes) -> bool:
    return not name.startswith(b".") and name.rpartition(b".")[2].lower().decode("ascii", "replace") in ENDINGS
