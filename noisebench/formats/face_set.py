"""A training set of faces: a folder with ``train.rec``, ``train.idx`` and ``property``, in either layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.files import whole_file, write_text
from noisebench.formats.jpeg import Encoded, Image, ImageError, decode, size_of
from noisebench.formats.layouts import MAX_EXACT, Layout, check_range, read_layout, read_property, whole_numbers
from noisebench.formats.mxnet_reader import MXNetReader
from noisebench.formats.recordio import Header, RecordReader, RecordWriter, pack, unpack
from noisebench.formats.training_set import TrainingSet

READERS = ("native", "mxnet")

_RECORDS_AT_ONCE = 1 << 16


class ImageReader(Protocol):
    """What images are read and decoded through."""

    def read(self, key: int) -> memoryview:
        """The payload of a record."""

    def decode(self, encoded: Encoded) -> Image:
        """An encoded image as RGB, uint8 [H, W, 3]."""


@dataclass(frozen=True, eq=False)
class FaceSet(TrainingSet):
    """The images of a face set and their identities. Reading is thread-safe.

    Attributes:
        folder: Where the set is.
        layout: "insightface" or "im2rec", see ``layouts``.
        keys: int64 [N], the keys of the images' records, in record order.
        labels: int32 [N], their identities, from 0 to ``num_classes`` - 1.
        num_classes: How many identities there are, those that ``property`` declares without an image among them.
        image_size: Height and width of every image.
        records: The set's records.
    """

    folder: Path
    layout: Layout
    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_classes: int
    image_size: tuple[int, int]
    records: RecordReader = field(repr=False)
    _reader: ImageReader = field(repr=False)

    @classmethod
    def open(cls, folder: Path, reader: str = "native") -> FaceSet:
        """Open a face set. Nothing is decoded, and in the InsightFace layout no image is touched.

        Args:
            folder: Has ``train.rec`` and ``train.idx``, and ``property`` or else images of one size.
            reader: "native", or "mxnet" to read and decode the images through MXNet, to compare with.

        Raises:
            FileError: A file is missing or damaged, or a label is outside the declared range.
            UserError: The reader is unknown or not installed.
        """
        if reader not in READERS:
            raise UserError(f"unknown reader '{reader}': {did_you_mean(reader, READERS)}")
        for name in ("train.rec", "train.idx"):
            if not (folder / name).is_file():
                raise FileError(folder / name, "no such file", "a data set is a folder with train.rec and train.idx")
        records = RecordReader(folder / "train.rec")
        declared = read_property(folder / "property")
        faces = read_layout(records, declared.num_classes if declared else None)
        return cls(
            folder=folder,
            layout=faces.layout,
            keys=faces.keys,
            labels=faces.labels,
            num_classes=declared.num_classes if declared else faces.num_identities,
            image_size=declared.image_size if declared else _size_of_first(records, faces.keys),
            records=records,
            _reader=MXNetReader(records.rec) if reader == "mxnet" else _NativeReader(records),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal over the keys, offsets and labels of the images and the size of ``train.rec``.

        The images' own bytes are not in it: reading them would take minutes for a large set.
        """
        digest = hashlib.sha256()
        digest.update(self.keys.astype("<i8").tobytes())
        digest.update(self.records.index.offsets_of(self.keys).astype("<i8").tobytes())
        digest.update(self.labels.astype("<i4").tobytes())
        digest.update(self.records.num_bytes.to_bytes(8, "little"))
        return digest.hexdigest()

    def jpeg(self, key: int) -> memoryview:
        """The encoded image of a record.

        Raises:
            FileError: There is no such record, it is damaged, or it holds no image.
        """
        try:
            _, image = unpack(self._reader.read(key))
        except ValueError as error:
            raise self.records.fault(key, str(error)) from error
        if len(image) == 0:
            raise self.records.fault(key, "holds no image")
        return image

    def fault(self, key: int, problem: str) -> FileError:
        """See `TrainingSet`."""
        return self.records.fault(key, problem)

    def decode(self, encoded: Encoded) -> Image:
        """See `TrainingSet`; by the reader."""
        return self._reader.decode(encoded)

    def check_labels(self, progress: Callable[[int], object] | None = None) -> None:
        """Read the header of every image and compare its label with ``labels``.

        Args:
            progress: Called now and then with the number of images checked since the last call.

        Raises:
            FileError: A label contradicts the identity's range or is outside the declared range.
        """
        for first in range(0, len(self.keys), _RECORDS_AT_ONCE):
            keys = self.keys[first : first + _RECORDS_AT_ONCE]
            expected = self.labels[first : first + _RECORDS_AT_ONCE]
            found = self.records.read_labels(keys)
            wrong = np.flatnonzero(check_range(self.records, keys, found, self.num_classes) != expected)
            if wrong.size:
                own, by_range = whole_numbers(found.label[wrong[0], :1])[0], expected[wrong[0]]
                problem = f"its own label is {own}, but it lies in the range of identity {by_range}"
                raise self.records.fault(int(keys[wrong[0]]), problem, "pack the data set again")
            if progress:
                progress(len(keys))


def write_face_set(
    folder: Path, images: Iterable[tuple[bytes, int]], num_classes: int, image_size: tuple[int, int]
) -> None:
    """Write ``train.rec``, ``train.idx`` and ``property`` in the InsightFace layout, holding one image at a time.

    Args:
        folder: Where to; made if missing.
        images: Encoded images with their labels, in ascending order of label.
        num_classes: How many identities there are.
        image_size: Height and width of the images.

    Raises:
        ValueError: A label is out of order or range, there is no image, or float32 cannot count so many records.
        FileError: The files cannot be written. Nothing is left behind.
    """
    with ExitStack() as stack:
        rec, idx = (stack.enter_context(whole_file(folder / name)) for name in ("train.rec", "train.idx"))
        writer = stack.enter_context(RecordWriter(rec, idx))
        num_images = np.zeros(num_classes, dtype=np.int64)
        last = 0
        for key, (encoded, label) in enumerate(images, start=1):
            if not last <= label < num_classes:
                raise ValueError(f"image {key}: label {label} after {last}; expected ascending, below {num_classes}")
            writer.write(key, pack(Header(0, float(label), key), encoded))
            num_images[label] += 1
            last = label
        write_ranges(writer, num_images)
    write_text(folder / "property", f"{num_classes},{image_size[0]},{image_size[1]}\n")


def write_ranges(writer: RecordWriter, num_images: NDArray[np.int64]) -> None:
    """Write record 0 and the identities' records, which follow the images 1, 2, ... of the InsightFace layout.

    Args:
        writer: Has written the images.
        num_images: How many images each identity has, int64 [C].

    Raises:
        ValueError: There is no image, or float32 cannot count so many records.
    """
    ends = 1 + np.cumsum(num_images)
    end_of_images = int(ends[-1])
    end = end_of_images + len(num_images)
    if end_of_images == 1 or end > MAX_EXACT:
        raise ValueError(
            f"{end_of_images - 1} images of {len(num_images)} identities: expected 1 to {MAX_EXACT} records"
        )
    writer.write(0, pack(Header(2, np.array([end_of_images, end], dtype=np.float32), 0), b""))
    for key, first, last in zip(range(end_of_images, end), ends - num_images, ends, strict=True):
        writer.write(key, pack(Header(2, np.array([first, last], dtype=np.float32), key), b""))


@dataclass(frozen=True)
class _NativeReader:
    records: RecordReader

    def read(self, key: int) -> memoryview:
        return self.records.read(key)

    def decode(self, encoded: Encoded) -> Image:
        return decode(encoded)


def _size_of_first(records: RecordReader, keys: NDArray[np.int64]) -> tuple[int, int]:
    """Height and width of a set's first image, which stand for all."""
    key = int(keys[0])
    try:
        return size_of(records.read_image(key)[1])
    except ImageError as error:
        raise records.fault(key, f"the image is unusable: {error}") from error
