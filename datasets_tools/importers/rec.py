"""RecordIO sets, in either layout, one after the other: the identities of each set are kept apart from the others'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets_tools.importers._listing import Options, sorted_listing
from noisebench.errors import FileError
from noisebench.formats.face_set import FaceSet
from noisebench.formats.jpeg import ImageError
from noisebench.formats.listing import Listing


def recognises(source: Path) -> bool:
    """Whether it is a folder with ``train.rec``, or that file."""
    return source.suffix == ".rec" or (source / "train.rec").exists()


def list_images(sources: Sequence[Path], options: Options) -> Listing:
    """Find the images of RecordIO sets. An image's name is ``set/key``, an identity's ``set/label``.

    Raises:
        FileError: A file is missing or damaged.
    """
    folders = [source.parent if source.name == "train.rec" else source for source in sources]
    sets = [FaceSet.open(folder) for folder in folders]
    titles = _titles(folders)
    ends = np.cumsum([len(faces.keys) for faces in sets])
    first_labels = np.cumsum([0] + [faces.num_classes for faces in sets])

    def read(place: int) -> bytes:
        number = int(np.searchsorted(ends, place, side="right"))
        faces = sets[number]
        try:
            return bytes(faces.jpeg(int(faces.keys[place - (ends[number] - len(faces.keys))])))
        except FileError as error:
            raise ImageError(error.problem) from error

    names = pa.chunked_array(
        [_joined(title, faces.keys) for title, faces in zip(titles, sets, strict=True)], type=pa.large_string()
    )
    labels = np.concatenate([faces.labels + first for faces, first in zip(sets, first_labels[:-1], strict=True)])
    identities = [
        f"{title}/{label}" for title, faces in zip(titles, sets, strict=True) for label in range(faces.num_classes)
    ]
    return sorted_listing(names, labels.astype(np.int32), identities, read)


def _titles(folders: Sequence[Path]) -> list[str]:
    """What to call each set: its folder's name, with a number where two have the same."""
    names = [folder.resolve().name for folder in folders]
    return [
        name if names.count(name) == 1 else f"{name}-{names[:place].count(name) + 1}"
        for place, name in enumerate(names)
    ]


def _joined(title: str, keys: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Array:
    texts = pc.cast(pa.array(keys), pa.large_string())
    return pc.binary_join_element_wise(pa.scalar(title, pa.large_string()), texts, pa.scalar("/", pa.large_string()))
