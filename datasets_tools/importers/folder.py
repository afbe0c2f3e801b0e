"""A folder of images: one folder an identity, image files in it, as ``identity/image.jpg``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datasets_tools.importers._listing import Options
from noisebench.errors import FileError
from noisebench.formats import image_folder
from noisebench.formats.listing import Listing


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
    return image_folder.list_images(sources[0])
