"""Checking every record of a face set: its place, bytes, header, label and image."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets_tools.checking.decoder import SternDecoder
from datasets_tools.checking.faults import BlockResult, Fault, Kind, named, runs
from datasets_tools.checking.layout import ANYTHING, check_layout
from noisebench.errors import FileError
from noisebench.formats.jpeg import ImageError, size_of
from noisebench.formats.layouts import MAX_EXACT, Property, read_property, whole_numbers
from noisebench.formats.recordio import Header, RecordError, RecordReader, unpack

RECORDS_A_BLOCK = 1024


class FaceSetChecker:
    """Checks a face set, in blocks of records that lie one after the other in the file.

    Args:
        folder: The set.
        with_sums: Work out checksums of the records.

    Attributes:
        records: Its records.
        declared: What its ``property`` says, None if there is none or it is damaged.
        expected: What its layout expects of every record.
        image_size: Height and width every image must have.
        faults: What is wrong with the set as a whole.

    Raises:
        FileError: The set's index or checksums cannot be used, so that no record can be checked.
    """

    def __init__(self, folder: Path, with_sums: bool) -> None:
        self.records = RecordReader(folder / "train.rec")
        self.faults: list[Fault] = []
        self.declared = self._read_property(folder / "property")
        self.expected, layout_faults = check_layout(self.records, self.declared)
        self.faults += [*layout_faults, *self._sums_faults(), *self._gap_at_the_beginning()]
        self._with_sums = with_sums

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self.records.index) // RECORDS_A_BLOCK)

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """Keys of all records, int64 [N], as they lie in the file."""
        offsets = self.records.index.offsets
        if np.all(offsets[1:] > offsets[:-1]):
            return self.records.keys
        return self.records.keys[np.argsort(offsets, kind="stable")]

    @cached_property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width every image must have: as ``property`` says, else that of the first image there is."""
        if self.declared is not None:
            return self.declared.image_size
        for key in self.records.keys.tolist():
            try:
                return size_of(self.records.read_image(key)[1])
            except (FileError, ImageError):
                continue
        return None

    def check(self, block: int) -> BlockResult:
        """Check the records of a block."""
        rows = slice(block * RECORDS_A_BLOCK, (block + 1) * RECORDS_A_BLOCK)
        keys = self.keys[rows]
        following = self.keys[rows.stop : rows.stop + 1]
        next_begins = np.append(self.records.index.offsets_of(np.append(keys[1:], following)), self.records.num_bytes)
        result = BlockResult([], [])
        for key, end, label in zip(keys.tolist(), next_begins.tolist(), self.expected.of(keys).tolist(), strict=False):
            result.faults.extend(self._record_faults(key, end, label, result.sums))
        return result

    def _record_faults(self, key: int, next_begins: int, label: int, sums: list[int]) -> Iterator[Fault]:
        """The faults of a record, and of what lies between it and the next."""
        try:
            payload, end = self.records.read_with_end(key)
        except RecordError as error:
            sums.extend([0] * self._with_sums)
            yield self._fault(key, "record", error.fault)
            return
        if self._with_sums:
            sums.append(zlib.crc32(payload))
        if end < next_begins:
            yield self._gap(end, next_begins)
        if self.records.sums is not None and not self.records.sums.matches(key, payload):
            yield self._fault(key, "record", f"differs from its checksum in {self.records.sums.path.name}")
            return
        try:
            header, image = unpack(payload)
        except ValueError as error:
            yield self._fault(key, "record", str(error))
            return
        if len(image) == 0:
            if label != ANYTHING:
                yield self._fault(key, "image", "holds no image")
            return
        yield from self._label_faults(key, header, label)
        problem = self._decoder.problem(image, self.image_size)
        if problem is not None:
            yield self._fault(key, "image", problem)

    def _label_faults(self, key: int, header: Header, expected: int) -> Iterator[Fault]:
        own = np.append(np.ravel(header.label), np.nan)[:1].astype(np.float32)
        label = int(whole_numbers(own)[0])
        limit = MAX_EXACT if self.declared is None else self.declared.num_classes
        if not 0 <= label < limit:
            yield self._fault(key, "label", f"label {own[0]:g} is outside the declared range 0 to {limit - 1}")
        elif expected >= 0 and label != expected:
            yield self._fault(key, "label", f"its own label is {label}, but it lies in the range of {expected}")

    @cached_property
    def _decoder(self) -> SternDecoder:
        return SternDecoder()

    def _fault(self, key: int, kind: Kind, problem: str) -> Fault:
        return Fault(self.records.rec.name, self.records.index.offset(key), key, kind, problem)

    def _gap(self, begin: int, end: int) -> Fault:
        seems = ", beginning like a record" if self.records.may_begin_at(begin) else ""
        return Fault(self.records.rec.name, begin, None, "gap", f"{end - begin} bytes that the index leaves out{seems}")

    def _gap_at_the_beginning(self) -> Iterator[Fault]:
        first = int(self.records.index.offsets.min())
        if first > 0:
            yield self._gap(0, first)

    def _sums_faults(self) -> Iterator[Fault]:
        """Records that have a checksum and are not in the index; the other way round is a fault of the record."""
        if self.records.sums is not None:
            for first, last in runs(np.setdiff1d(self.records.sums.keys, self.records.keys).tolist()):
                problem = f"a checksum of {named(first, last)}, which the index does not list"
                yield Fault(self.records.sums.path.name, None, first, "index", problem)

    def _read_property(self, path: Path) -> Property | None:
        try:
            return read_property(path)
        except FileError as error:
            self.faults.append(Fault(path.name, 0, None, "file", error.problem))
            return None
