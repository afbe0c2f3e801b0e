"""Copying image records from one ``.rec`` file into another, with other keys and labels, as fast as the disks go.

Records are copied in the order in which they lie in their file, so that both files are read and written from begin to
end however keys and labels are dealt out: a reader finds records through the index. A block of records is read at
once, their headers are changed in place by NumPy, and the block is written at once; no image is touched.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats.recordio import MAGIC, MAX_PAYLOAD, Header, RecordReader, frame, pack

BLOCK_BYTES = 1 << 20  # stays in a processor's cache between reading and writing
MAX_GAP_BYTES = 1 << 17  # more than this is skipped rather than read

_HEADER_WORDS = 8  # part header and image header
_WORD_BITS, _LOW_WORD = 32, 0xFFFFFFFF


class CopiedBlock(NamedTuple):
    """Records as they stand in the new file.

    Attributes:
        data: uint32 words of whole records, one after the other; its memory is used again for the block after the next.
        keys: int64 [M], their new keys.
        offsets: int64 [M], where they begin, in bytes from the beginning of ``data``.
    """

    data: NDArray[np.uint32]
    keys: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def followed_by(self, other: CopiedBlock) -> CopiedBlock:
        """The records of both."""
        return CopiedBlock(
            np.concatenate((self.data, other.data)),
            np.concatenate((self.keys, other.keys)),
            np.concatenate((self.offsets, self.data.nbytes + other.offsets)),
        )


class RecordCopier:
    """Image records to copy from one file, in the order in which they lie there.

    Every copy gets a scalar label (flag 0), as image records of the InsightFace layout have; further labels that a
    record carries are left out. A record may be copied several times.

    Args:
        records: The file they are copied from.
        source_keys: Their keys there, int64 [N].
        keys: Their new keys, int64 [N].
        labels: Their new labels, int32 [N], below 2^24.

    Raises:
        FileError: A key is not in the file.
    """

    def __init__(
        self,
        records: RecordReader,
        source_keys: NDArray[np.int64],
        keys: NDArray[np.int64],
        labels: NDArray[np.int32],
    ) -> None:
        starts = records.index.offsets_of(source_keys)
        order = _file_order(starts)
        self._records = records
        self._starts = starts[order]
        self._ends = _ends(records, self._starts)
        self._source_keys, self._keys, self._labels = source_keys[order], keys[order], labels[order]
        self._buffers = itertools.cycle([np.empty(BLOCK_BYTES // 4, dtype="<u4") for _ in range(2)])

    def __len__(self) -> int:
        return len(self._keys)

    def blocks(self, first: int = 0) -> Iterator[CopiedBlock]:
        """All records from number ``first`` on, which is 0 or where an earlier block has ended.

        Raises:
            FileError: A record is damaged, or holds no image; it is named.
        """
        try:
            with self._records.rec.open("rb") as self._stream:
                for rows in _cut(self._starts, self._ends, first):
                    yield self._copy(rows)
        except OSError as error:
            raise FileError(self._records.rec, f"cannot be read: {error.strerror}") from error

    def _copy(self, rows: slice) -> CopiedBlock:
        start, end = int(self._starts[rows.start]), int(self._ends[rows.stop - 1])
        if end - start > BLOCK_BYTES:  # one record, and perhaps much that the index does not name
            return self._repacked(np.arange(rows.start, rows.stop))
        words = self._read(start, (end - start) // 4)
        places, ends = (self._starts[rows] - start) // 4, (self._ends[rows] - start) // 4
        length, flag, usual = _parse_headers(words, places, ends)
        if self._records.sums is not None:
            usual[usual] = self._agree_with_sums(
                words, rows.start + np.flatnonzero(usual), places[usual], length[usual]
            )
        odd = self._repacked(rows.start + np.flatnonzero(~usual))
        if not usual.any():
            return odd
        kept, places, length, flag = rows.start + np.flatnonzero(usual), places[usual], length[usual], flag[usual]
        _change_headers(words, places, length - 4 * flag, self._labels[kept], self._keys[kept])
        data, offsets = _gather(words, places, (length + 11) // 4, flag)
        block = CopiedBlock(data, self._keys[kept], offsets)
        return block.followed_by(odd) if len(odd.keys) else block

    def _read(self, start: int, num_words: int) -> NDArray[np.uint32]:
        words = next(self._buffers)[:num_words]
        self._stream.seek(start)
        if self._stream.readinto(words.data) != words.nbytes:
            raise FileError(self._records.rec, "became shorter while it was read", "copy or download it again")
        return words

    def _agree_with_sums(
        self,
        words: NDArray[np.uint32],
        rows: NDArray[np.int64],
        places: NDArray[np.int64],
        length: NDArray[np.int64],
    ) -> list[bool]:
        """Whether the payloads at these words, [M], are those that the file's checksums were written for."""
        sums, data, begins = self._records.sums, words.view(np.uint8).data, 4 * places + 8
        assert sums is not None, "asked only where there are checksums"
        places_in_data = zip(self._source_keys[rows].tolist(), begins.tolist(), (begins + length).tolist(), strict=True)
        return [sums.matches(key, data[begin:end]) for key, begin, end in places_in_data]

    def _repacked(self, rows: NDArray[np.int64]) -> CopiedBlock:
        """Records one by one: those that are split or very large, which are rare, and damaged ones, which raise."""
        framed = []
        for row in rows.tolist():
            source_key = int(self._source_keys[row])
            _, image = self._records.read_image(source_key)
            if len(image) == 0:
                raise self._records.fault(source_key, "holds no image")
            framed.append(frame(pack(Header(0, float(self._labels[row]), int(self._keys[row])), bytes(image))))
        offsets = np.cumsum([0, *map(len, framed)], dtype=np.int64)[:-1]
        return CopiedBlock(np.frombuffer(b"".join(framed), dtype="<u4"), self._keys[rows], offsets)


def _file_order(starts: NDArray[np.int64]) -> NDArray[np.intp]:
    """The order in which to copy: as in the file; what is copied again comes in further passes over the file."""
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    if len(first) == len(starts):
        return order
    uses = np.arange(len(starts)) - np.repeat(first, np.diff(first, append=len(starts)))
    return order[np.argsort(uses, kind="stable")]


def _ends(records: RecordReader, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each record must have ended: at the begin of the next one that the index lists, or the file's end."""
    begins = np.sort(records.index.offsets)
    following = np.searchsorted(begins, starts, side="right")
    return np.append(begins, records.num_bytes // 4 * 4)[following]


def _cut(starts: NDArray[np.int64], ends: NDArray[np.int64], first: int) -> Iterator[slice]:
    """Runs of records that lie together, each of at most ``BLOCK_BYTES`` unless it is a single record."""
    gaps = starts[first + 1 :] - ends[first:-1]  # negative where a further pass begins
    breaks = first + 1 + np.flatnonzero((gaps < 0) | (gaps > MAX_GAP_BYTES))
    for begin, end in pairwise([first, *breaks.tolist(), len(starts)]):
        while begin < end:
            fitting = int(np.searchsorted(ends[begin:end], starts[begin] + BLOCK_BYTES, side="right"))
            yield slice(begin, begin := begin + max(1, fitting))


def _parse_headers(
    words: NDArray[np.uint32], places: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Payload length in bytes and flag of the records at these words, and whether each is whole, with an image."""
    magic, word, flag = (words[np.minimum(places + number, len(words) - 1)].astype(np.int64) for number in range(3))
    length = word & MAX_PAYLOAD
    usual = (magic == MAGIC) & (word <= MAX_PAYLOAD)  # the bits above the length number the parts of a split record
    usual &= (length > 24 + 4 * flag) & (4 * places + 8 + length <= 4 * ends)
    return length, flag, usual


def _change_headers(
    words: NDArray[np.uint32],
    places: NDArray[np.int64],
    length: NDArray[np.int64],
    labels: NDArray[np.int32],
    keys: NDArray[np.int64],
) -> None:
    """Give the records at these words their new length, a scalar label and their key."""
    none = np.zeros_like(keys)
    header = (length, none, labels.astype("<f4").view("<u4"), keys & _LOW_WORD, keys >> _WORD_BITS, none, none)
    for number, values in enumerate(header, start=1):
        words[places + number] = values


def _gather(
    words: NDArray[np.uint32], places: NDArray[np.int64], sizes: NDArray[np.int64], flag: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The records at these words, without what lies between them and without array labels; and where each begins.

    Args:
        words: A block of a file.
        places: Where the records begin, in words, ascending.
        sizes: How many words each has.
        flag: How many labels each carries behind its header.

    Returns:
        The words left, a view if nothing is left out, and the begins in bytes.
    """
    offsets = 4 * np.cumsum(np.append(0, sizes - flag))[:-1]
    # Of each record a first piece, up to the array labels, and a second; pieces that touch are one run.
    begins = np.stack((places, places + _HEADER_WORDS + flag), axis=1).ravel()
    ends = np.stack((places + _HEADER_WORDS, places + sizes), axis=1).ravel()
    apart = begins[1:] != ends[:-1]
    runs = zip(begins[np.append(True, apart)].tolist(), ends[np.append(apart, True)].tolist(), strict=True)
    pieces = [words[begin:end] for begin, end in runs]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces), offsets
