"""What a data set may be: a RecordIO set, a folder of images, or several of them joined, ``FOLDER,FOLDER,...``."""

from __future__ import annotations

from pathlib import Path

from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet
from noisebench.formats.image_folder import ImageFolder
from noisebench.formats.joined_sets import JoinedSets
from noisebench.formats.training_set import TrainingSet

EXPECTED = "a data set is a folder with train.rec and train.idx, or with one folder of images an identity"


def open_data(source: Path, reader: str = "native") -> TrainingSet:
    """Open a data set, whatever it is.

    Args:
        source: Its folder, or several with commas between them.
        reader: See `FaceSet.open`.

    Raises:
        FileError: A file is missing or damaged, or the sets cannot be joined.
        UserError: The reader is unknown, not installed, or reads no folders of images.
    """
    sets = [_open_one(folder, reader) for folder in folders(source)]
    return sets[0] if len(sets) == 1 else JoinedSets.of(source, sets)


def folders(source: Path) -> list[Path]:
    """The folders a data set consists of; a comma in the name of one that exists joins nothing."""
    if source.exists():
        return [source]
    return [Path(folder) for folder in str(source).split(",") if folder]


def absolute(source: Path) -> Path:
    """The same data set, from whatever folder it is opened."""
    return Path(",".join(str(folder.resolve()) for folder in folders(source)))


def name(source: Path) -> str:
    """What a data set is called: the names of its folders."""
    return "+".join(folder.resolve().name for folder in folders(source))


def _open_one(folder: Path, reader: str) -> TrainingSet:
    if any((folder / file).exists() for file in ("train.rec", "train.idx", "property")):
        return FaceSet.open(folder, reader)
    if not folder.is_dir():
        raise FileError(folder, "no such folder", EXPECTED)
    if not any(entry.is_dir() for entry in folder.iterdir()):
        return FaceSet.open(folder, reader)  # says what is missing
    if reader != "native":
        raise UserError(f"--reader {reader} reads RecordIO sets only, and {folder} is a folder of images")
    return ImageFolder.open(folder)
