"""Thousands of damaged sets: each ends in one clear error or in bytes that are the record's own, never in another's."""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import FileError
from noisebench.formats import checked_arrays, index_cache
from noisebench.formats.face_set import FaceSet
from noisebench.formats.layouts import read_property
from noisebench.formats.record_index import RecordIndex
from noisebench.formats.record_sums import RecordSums
from noisebench.formats.recordio import Header, RecordReader, RecordWriter, pack
from tests.damage import Damage, damages, in_a_cage, watched
from tests.tiny import write_faces

NUM_RECORDS = 12
MAGIC = bytes.fromhex("0a23d7ce")
MARK = re.compile(rb"<(\d\d)>")


def marked_payloads() -> list[bytes]:
    """Payloads that say all over whose they are; some have the length of another, some are split by the magic."""
    payloads = []
    for key in range(NUM_RECORDS):
        body = b"<%02d>" % key * (4 + key % 3 * 5) + (MAGIC * 2 if key % 4 == 3 else b"") + b"<%02d>" % key
        payloads.append(pack(Header(0, float(key), key), body + b"x" * (key % 5)))
    return payloads


def write_marked(folder: Path, with_sums: bool) -> list[bytes]:
    payloads = marked_payloads()
    with RecordWriter(folder / "train.rec") as writer:
        for key, payload in enumerate(payloads):
            writer.write(key, payload)
    if with_sums:
        write_sums(folder)
    return payloads


def write_sums(folder: Path) -> None:
    records = RecordReader(folder / "train.rec")
    sums = np.array([zlib.crc32(records.read(key)) for key in records.keys.tolist()], dtype=np.uint32)
    RecordSums.write(folder / "train.sums", records.keys, sums)


def each_damage(path: Path, count: int, seed: int) -> Iterator[Damage]:
    """Put damaged copies in the place of a file, one after the other."""
    for damage in damages(path.read_bytes(), count, seed):
        path.write_bytes(damage.data)
        with watched():
            yield damage


def read_all(folder: Path) -> dict[int, bytes]:
    """Every record that can be read, through both ways of reading."""
    found: dict[int, bytes] = {}
    try:
        records = RecordReader(folder / "train.rec")
    except FileError:
        return {}
    for key in records.keys.tolist()[: 2 * NUM_RECORDS]:
        try:
            found[key] = bytes(records.read(key))
        except FileError:
            continue
    with contextlib.suppress(FileError):
        records.read_labels(records.keys)
    return found


def check_own(found: dict[int, bytes], num_changed: int) -> None:
    """A payload may bear as many foreign marks as bytes were changed, for a change can make one out of its own."""
    for key, payload in found.items():
        foreign = [mark for mark in MARK.findall(payload) if int(mark) != key]
        assert key >= NUM_RECORDS or len(foreign) <= num_changed, (key, payload)


def damage_rec(folder: Path, count: int) -> None:
    write_marked(folder, with_sums=False)
    for damage in each_damage(folder / "train.rec", count, seed=1):
        check_own(read_all(folder), len(damage.places))


def damage_idx(folder: Path, count: int) -> None:
    write_marked(folder, with_sums=False)
    for _ in each_damage(folder / "train.idx", count, seed=2):
        check_own(read_all(folder), 0)


def damage_with_sums(folder: Path, count: int) -> None:
    payloads = write_marked(folder, with_sums=True)
    for name, seed in (("train.rec", 3), ("train.idx", 4)):
        original = (folder / name).read_bytes()
        padding = padding_of((folder / "train.rec").read_bytes())
        for damage in each_damage(folder / name, count // 2, seed):
            found = read_all(folder)
            assert all(payload == payloads[key] for key, payload in found.items())
            if name == "train.rec" and damage.places:
                assert len(found) < NUM_RECORDS or padding.issuperset(damage.places)
        (folder / name).write_bytes(original)


def padding_of(rec: bytes) -> set[int]:
    """The zeros after a payload, 0 to 3, which belong to no record."""
    places: set[int] = set()
    place = 0
    while place < len(rec):
        end = place + 8 + int.from_bytes(rec[place + 4 : place + 8], "little") % 2**29
        place = end + -end % 4
        places.update(range(end, place))
    return places


def damage_sums(folder: Path, count: int) -> None:
    write_marked(folder, with_sums=True)
    for _ in each_damage(folder / "train.sums", count, seed=5):
        with pytest.raises(FileError, match="sums"):
            RecordReader(folder / "train.rec")


def damage_cache(folder: Path, count: int) -> None:
    index_cache.MIN_BYTES, index_cache._SETTLED_NS = 0, 0
    path = folder / "a.idx"
    path.write_text("".join(f"{key * 7 % 40}\t{key * 20}\n" for key in range(40)))
    whole = RecordIndex.read(path)
    index_cache._SETTLED_NS = 1 << 62
    for _ in each_damage(index_cache.path_of(path), count, seed=6):
        found = RecordIndex.read(path)
        assert found.keys.tolist() == whole.keys.tolist()
        assert found.offsets.tolist() == whole.offsets.tolist()


def damage_property(folder: Path, count: int) -> None:
    path = folder / "property"
    path.write_text("85742,112,112\n")
    for _ in each_damage(path, count, seed=7):
        try:
            read_property(path)
        except FileError:
            continue


def damage_faces(folder: Path, count: int) -> None:
    """A whole set of real images: it opens or not, and then every image decodes or not."""
    write_faces(folder)
    for number, name in enumerate(("train.rec", "train.idx", "property")):
        original = (folder / name).read_bytes()
        for _ in each_damage(folder / name, count // 3, seed=8 + number):
            try:
                faces = FaceSet.open(folder)
                for key in faces.keys[::7].tolist():
                    faces.image(key)
            except FileError:
                continue
        (folder / name).write_bytes(original)


@pytest.mark.parametrize(
    ("damage", "count"),
    [
        (damage_rec, 2500),
        (damage_idx, 2000),
        (damage_with_sums, 1500),
        (damage_sums, 500),
        (damage_cache, 1000),
        (damage_property, 300),
        (damage_faces, 600),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damaged_files(damage: Callable[[Path, int], None], count: int) -> None:
    in_a_cage(damage, count)


@given(text=st.binary(max_size=60) | st.text("0123456789\t\n\r -+.e", max_size=60).map(str.encode))
def test_any_index_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.mktemp("index") / "a.idx"
    path.write_bytes(text)
    try:
        index = RecordIndex.read(path)
    except FileError:
        return
    assert len(index) == text.count(b"\t")
    assert [index.offset(key) for key in index.keys.tolist()] == index.offsets.tolist()


PART = st.tuples(st.sampled_from([MAGIC, b"\0\0\0\0"]), st.integers(0, 3), st.integers(0, 40), st.binary(max_size=40))


@given(parts=st.lists(PART, min_size=1, max_size=4))
def test_any_chain_of_parts_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bytes, int, int, bytes]]
) -> None:
    rec = tmp_path_factory.mktemp("parts") / "a.rec"
    words = [magic + (part << 29 | length).to_bytes(4, "little") + body for magic, part, length, body in parts]
    rec.write_bytes(b"".join(word + bytes(-len(word) % 4) for word in words))
    rec.with_suffix(".idx").write_text("0\t0\n")
    try:
        payload = RecordReader(rec).read(0)
    except FileError:
        return
    assert len(payload) <= rec.stat().st_size


@given(junk=st.binary(max_size=300))
def test_any_sums_and_arrays_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("sums") / "a.sums"
    for data in (junk, b"NBARRAY1" + junk):
        path.write_bytes(data)
        with pytest.raises(FileError):
            RecordSums.read(path)


JSON = st.recursive(st.none() | st.integers(-5, 2**70) | st.text(max_size=5), lambda inner: st.lists(inner, max_size=5))


@given(columns=JSON, about=JSON)
def test_a_well_formed_header_that_lies_is_refused(
    tmp_path_factory: pytest.TempPathFactory, columns: object, about: object
) -> None:
    path = tmp_path_factory.mktemp("sums") / "a.sums"
    header = json.dumps({"kind": "record sums, version 1", "about": about, "arrays": columns}).encode()
    numbers = len(header).to_bytes(4, "little") + zlib.crc32(header).to_bytes(4, "little")
    path.write_bytes(b"NBARRAY1" + numbers + header)
    with pytest.raises(FileError):
        RecordSums.read(path)
    with pytest.raises(ValueError, match=r"."):
        checked_arrays.read(path, "another kind")
