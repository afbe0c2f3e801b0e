"""RecordIO against bytes put together by hand, and against damage of every kind."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import FileError
from noisebench.formats import recordio
from noisebench.formats.recordio import Header, RecordReader, RecordWriter, pack, unpack

MAGIC = bytes.fromhex("0a23d7ce")
PAYLOADS = st.lists(st.sampled_from([MAGIC, b"a", b"bc", b"\0", b"0123", MAGIC[:2], MAGIC[1:]]), max_size=12).map(
    b"".join
)


def write(rec: Path, payloads: list[bytes], first_key: int = 0) -> RecordReader:
    with RecordWriter(rec) as writer:
        for key, payload in enumerate(payloads, first_key):
            writer.write(key, payload)
    return RecordReader(rec)


def slow_encoding(payload: bytes) -> bytes:
    """The parts of a record, found by looking at every aligned word."""
    parts, start = [], 0
    for place in range(0, len(payload) // 4 * 4, 4):
        if payload[place : place + 4] == MAGIC:
            parts.append(payload[start:place])
            start = place + 4
    parts.append(payload[start:])
    flags = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    words = [struct.pack("<I", flag * 2**29 + len(part)) for flag, part in zip(flags, parts, strict=True)]
    encoded = (MAGIC + word + part for word, part in zip(words, parts, strict=True))
    return b"".join(part + b"\0" * (-len(part) % 4) for part in encoded)


def test_the_bytes_of_a_small_file(tmp_path: Path) -> None:
    write(tmp_path / "a.rec", [b"hello", b"", MAGIC])
    assert (tmp_path / "a.rec").read_bytes() == (
        MAGIC + b"\x05\0\0\0hello\0\0\0" + MAGIC + b"\0\0\0\0" + MAGIC + b"\0\0\0\x20" + MAGIC + b"\0\0\0\x60"
    )
    assert (tmp_path / "a.idx").read_bytes() == b"0\t0\n1\t16\n2\t24\n"


@given(payloads=st.lists(PAYLOADS, min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    rec = tmp_path_factory.mktemp("set") / "a.rec"
    reader = write(rec, payloads)
    assert rec.read_bytes() == b"".join(map(slow_encoding, payloads))
    assert [bytes(reader.read(key)) for key in reader.keys.tolist()] == payloads


def test_header_with_one_label() -> None:
    payload = pack(Header(7, 3.0, 5, 6), b"body")
    assert payload == bytes.fromhex("00000000" + "00004040" + "0500000000000000" + "0600000000000000") + b"body"
    header, body = unpack(payload)
    assert header == Header(0, 3.0, 5, 6)
    assert bytes(body) == b"body"


def test_header_with_several_labels() -> None:
    payload = pack(Header(0, np.array([1.0, 2.0, 3.0], dtype=np.float32), 5), b"body")
    assert payload[:8] == bytes.fromhex("0300000000000000")
    header, body = unpack(payload)
    assert header.flag == 3
    np.testing.assert_array_equal(header.label, [1, 2, 3])
    assert bytes(body) == b"body"


@pytest.mark.parametrize(
    "payload", [b"", b"\0" * 23, struct.pack("<IfQQ", 1, 0, 0, 0), struct.pack("<IfQQ", 2**32 - 1, 0, 0, 0)]
)
def test_header_that_lies_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        unpack(payload)


def test_labels_of_many_records(tmp_path: Path) -> None:
    magic_number = struct.unpack("<Q", MAGIC * 2)[0]
    payloads = [
        pack(Header(0, 4.0, 1), b"image"),
        pack(Header(2, np.array([5, 6], dtype=np.float32), 2), b""),
        pack(Header(1, np.array([7], dtype=np.float32), magic_number), b"image"),  # split within its header
        pack(Header(0, 8.0, 4), b""),
    ]
    reader = write(tmp_path / "a.rec", payloads)
    found = reader.read_labels(np.array([3, 0, 1, 2]))
    assert found.flag.tolist() == [0, 0, 2, 1]
    assert found.has_image.tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found.label, [[8, np.nan], [4, np.nan], [5, 6], [7, np.nan]])


def test_labels_in_chunks_equal_labels_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = write(tmp_path / "a.rec", [pack(Header(0, float(key), key), b"x") for key in range(10)])
    at_once = reader.read_labels(reader.keys)
    monkeypatch.setattr(recordio, "_RECORDS_AT_ONCE", 3)
    in_chunks = reader.read_labels(reader.keys)
    for expected, found in zip(at_once, in_chunks, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(reader.read_labels(reader.keys[:0]).flag) == 0


def test_a_payload_of_512_mib_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "MAX_PAYLOAD", 8)
    with RecordWriter(tmp_path / "a.rec") as writer, pytest.raises(ValueError, match="record 1: 9 bytes"):
        writer.write(1, b"123456789")


def truncated(data: bytearray) -> bytes:
    return bytes(data[:-5])


def with_bad_magic(data: bytearray) -> bytes:
    data[16] ^= 1
    return bytes(data)


def with_long_length(data: bytearray) -> bytes:
    data[20:24] = struct.pack("<I", 2**29 - 1)
    return bytes(data)


def with_middle_part(data: bytearray) -> bytes:
    data[20:24] = struct.pack("<I", 2 << 29 | 28)
    return bytes(data)


def with_unfinished_split(data: bytearray) -> bytes:
    data[20:24] = struct.pack("<I", 1 << 29 | 28)
    return bytes(data)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (truncated, "record 1 at byte 16: cut short: 28 bytes should follow byte 24, the file has 23"),
        (with_bad_magic, "record 1 at byte 16: expected the magic number 0xced7230a at byte 16, found 0xced7230b"),
        (with_long_length, "record 1 at byte 16: cut short: 536870911 bytes should follow byte 24, the file has 28"),
        (with_middle_part, "record 1 at byte 16: begins in the middle of a split record"),
        (with_unfinished_split, "record 1 at byte 16: cut short at byte 52, the end of the file"),
    ],
)
def test_a_damaged_file_is_named_with_key_and_place(
    tmp_path: Path, damage: Callable[[bytearray], bytes], problem: str
) -> None:
    rec = tmp_path / "a.rec"
    write(rec, [b"hello", pack(Header(0, 1.0, 1), b"four")])
    rec.write_bytes(damage(bytearray(rec.read_bytes())))
    reader = RecordReader(rec)
    assert bytes(reader.read(0)) == b"hello"
    for read in (lambda: reader.read(1), lambda: reader.read_labels(np.array([1]))):
        with pytest.raises(FileError) as caught:
            read()
        assert caught.value.path == rec
        assert caught.value.problem == problem
        assert caught.value.remedy


def test_a_payload_too_short_for_its_header_is_named(tmp_path: Path) -> None:
    reader = write(tmp_path / "a.rec", [b"hello"])
    with pytest.raises(FileError, match="record 0 at byte 0: 5 bytes are too few for an image header"):
        reader.read_labels(np.array([0]))


@given(junk=st.binary(min_size=1, max_size=200))
def test_junk_ends_in_one_clear_error(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    rec = tmp_path_factory.mktemp("junk") / "a.rec"
    rec.write_bytes(junk)
    rec.with_suffix(".idx").write_text("0\t0\n")
    with pytest.raises(FileError):
        RecordReader(rec).read(0)


@pytest.mark.parametrize("name", ["a.rec", "a.idx"])
def test_a_missing_or_empty_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.rec", [b"hello"])
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileError, match=rf"{name}: .*empty"):
        RecordReader(tmp_path / "a.rec")
    (tmp_path / name).unlink()
    with pytest.raises(FileError, match=rf"{name}: cannot be read"):
        RecordReader(tmp_path / "a.rec")
