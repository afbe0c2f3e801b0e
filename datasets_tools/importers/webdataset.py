"""WebDataset shards: tar archives in which files of one name make a sample, ``key.jpg`` with ``key.cls`` or ``.json``.

A sample's name ends at the first dot of its file name. The label is the number in ``key.cls``, or ``label`` in
``key.json``, a number or an identity's name. Nothing is unpacked: headers are read once, then images at their places.
"""

from __future__ import annotations

import json
import os
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from datasets_tools.importers._listing import Options, number_labels, sorted_listing
from noisebench.errors import FileError
from noisebench.formats.image_files import ENDINGS, check_num_bytes
from noisebench.formats.listing import Listing, Texts, as_text

_OPEN_AT_ONCE = 256
_MAX_LABEL_BYTES = 1 << 20
_MAX_EXTENDED_BYTES = 1 << 20
_EXTENDED_TYPES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG_NAME_TYPES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_DAMAGED = "copy or download it again; an archive that is compressed must be decompressed first"


class _Place(NamedTuple):
    """Where an image lies in its archive, in bytes."""

    name: str
    offset: int
    size: int


def recognises(source: Path) -> bool:
    """Whether it is a file that ends in ``.tar``."""
    return source.suffix == ".tar"


def list_images(sources: Sequence[Path], options: Options) -> Listing:
    """Find the images of tar shards. An image's name is ``shard/member``.

    Raises:
        FileError: A shard is damaged, holds what it should not, or an image in it has no label.
    """
    names, labels = Texts(), _Labels()
    shards, offsets, sizes = array("i"), array("q"), array("q")
    opened = lru_cache(_OPEN_AT_ONCE)(_open)
    for number, source in enumerate(tqdm(sources, desc="listing", unit="shard", delay=2, disable=None)):
        for place, label in _samples(source, opened(source)):
            names.append(os.fsencode(f"{source.stem}/{place.name}"))
            labels.append(source, place.name, label)
            shards.append(number)
            offsets.append(place.offset)
            sizes.append(place.size)
    if not shards:
        raise FileError(sources[0], "holds no images", "expected key.jpg with key.cls or key.json")
    column = labels.finish()

    def read(place: int) -> bytes:
        check_num_bytes(sizes[place])
        return os.pread(opened(sources[shards[place]]).fileno(), sizes[place], offsets[place])

    return sorted_listing(as_text(names.finish()), *number_labels(sources[0], column), read)


class _Labels:
    """Labels that are all numbers, or all names."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._names = Texts()
        self._kind: type[int] | type[str] | None = None

    def append(self, source: Path, name: str, label: int | str) -> None:
        kind = int if isinstance(label, int) else str
        if self._kind not in (None, kind):
            raise FileError(source, f"the label of {name} is {label!r}; others are of the other kind", "use one kind")
        self._kind = kind
        if isinstance(label, int):
            self._numbers.append(max(min(label, 1 << 62), -1))  # out of range either way, and told so later
        else:
            self._names.append(label.encode("utf-8", "backslashreplace"))

    def finish(self) -> pa.ChunkedArray:
        if self._kind is int:
            return pa.chunked_array([np.frombuffer(self._numbers, dtype=np.int64)])
        return as_text(self._names.finish())


def _open(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise FileError(source, f"cannot be read: {error.strerror}", "check the path of the shard") from error


def _samples(source: Path, stream: BinaryIO) -> Iterator[tuple[_Place, int | str]]:
    """Image and label of each sample, in the order in which they are complete."""
    images: dict[str, _Place] = {}
    labels: dict[str, int | str] = {}
    for member in _members(source, stream):
        folder, slash, file = member.name.rpartition("/")
        stem, _, ending = file.partition(".")
        key, ending = folder + slash + stem, ending.lower()
        if ending in ENDINGS:
            if key in images:
                raise FileError(source, f"a second image of sample {key}: {member.name}", "expected one a sample")
            images[key] = _Place(member.name, member.offset_data, member.size)
        elif ending in ("cls", "json"):
            labels[key] = _read_label(source, stream, member)
        if key in images and key in labels:
            yield images.pop(key), labels.pop(key)
    if images:
        name = next(iter(images.values())).name
        raise FileError(source, f"image {name} has no label", "expected key.cls or key.json beside it")


def _members(source: Path, stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The regular files of an archive, each known to lie within it."""
    num_bytes = os.fstat(stream.fileno()).st_size
    try:
        with ExitStack() as stack:
            archive = stack.enter_context(_Archive(fileobj=stream, tarinfo=_CheckedInfo))
            last = -1
            while (member := archive.next()) is not None:
                archive.members.clear()  # tarfile would keep them all
                if archive.offset <= last or member.offset_data + member.size > num_bytes:
                    raise tarfile.ReadError(f"{member.name!r} is said to have {member.size} bytes")
                last = archive.offset
                if _admitted(source, member):
                    yield member
            stream.seek(archive.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"no mark of an end at byte {archive.offset}")
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError, EOFError) as error:
        detail = " ".join(str(error).split())
        raise FileError(source, f"no plain tar archive, damaged or cut short: {detail}", _DAMAGED) from error


class _Archive(tarfile.TarFile):
    members: list[tarfile.TarInfo]  # not in the library's stubs


class _CheckedInfo(tarfile.TarInfo):
    """A header whose sizes are checked before anything of the size is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _CheckedInfo:
        info = super().frombuf(buf, encoding, errors)
        extended = info.type in _EXTENDED_TYPES or info.type in _LONG_NAME_TYPES
        if info.size < 0 or (extended and info.size > _MAX_EXTENDED_BYTES):
            raise tarfile.ReadError(f"a header with a size of {info.size} bytes")
        return info


def _admitted(source: Path, member: tarfile.TarInfo) -> bool:
    """Whether it is a file; what could lead elsewhere is refused."""
    if member.isdir():
        return False
    if not member.isreg() or member.issparse():
        raise FileError(source, f"member {member.name!r} is a link or a special file", "expected files only")
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise FileError(source, f"member {member.name!r} leads out of the archive", "expected relative names")
    return True


def _read_label(source: Path, stream: BinaryIO, member: tarfile.TarInfo) -> int | str:
    text = os.pread(stream.fileno(), min(member.size, _MAX_LABEL_BYTES), member.offset_data)
    try:
        if member.name.lower().endswith("cls"):
            return int(text)
        content = json.loads(text)
        label = content.get("label") if isinstance(content, dict) else None
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise ValueError
    except (ValueError, RecursionError) as error:
        expected = "a whole number" if member.name.lower().endswith("cls") else "an object with 'label'"
        raise FileError(source, f"{member.name}: expected {expected}, found {text[:60]!r}") from error
    return label
