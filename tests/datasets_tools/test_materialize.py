from __future__ import annotations

import errno
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from datasets_tools import copy_records, materialize
from datasets_tools.app import app
from datasets_tools.copy_records import CopiedBlock, RecordCopier
from datasets_tools.make_noise import make_manifest
from noisebench.cli.app import run
from noisebench.errors import FileError, UserError
from noisebench.formats import layouts
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.formats.record_sums import RecordSums
from noisebench.formats.recordio import Header, RecordReader, RecordWriter, frame, pack, unpack
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import NoiseRecipe, load_recipe

MAGIC = bytes.fromhex("0a23d7ce")
FILES = ("train.rec", "train.idx", "property", "manifest.parquet", "rows.parquet")


def images(num_classes: int, seed: int) -> Iterator[tuple[bytes, int]]:
    """Bytes that stand for images, some of which RecordIO has to split, with their labels."""
    rng = np.random.Generator(np.random.Philox(seed))
    for label in range(num_classes):
        for number in range(3 + label % 5):
            body = rng.bytes(int(rng.integers(1, 900)))
            yield (body + MAGIC) * (2 if (label + number) % 7 == 0 else 1), label


@pytest.fixture
def base(tmp_path: Path) -> FaceSet:
    write_face_set(tmp_path / "base", images(12, seed=1), 12, (112, 96))
    return FaceSet.open(tmp_path / "base")


@pytest.fixture
def outliers(tmp_path: Path) -> FaceSet:
    write_face_set(tmp_path / "base" / "outliers", images(9, seed=2), 9, (112, 96))
    return FaceSet.open(tmp_path / "base" / "outliers")


@pytest.fixture
def manifest(base: FaceSet, outliers: FaceSet) -> Manifest:
    return make_manifest(load_recipe("c20o20"), base, outliers, seed=3)


def made_simply(manifest: Manifest, base: FaceSet, outliers: FaceSet | None, folder: Path) -> FaceSet:
    """The noisy set, image by image through the ordinary reader and writer."""
    order = sorted(range(len(manifest)), key=lambda row: (manifest.label[row], row))
    sets = (base, outliers)
    noisy = (
        (bytes(faces.jpeg(int(manifest.source_index[row]))), int(manifest.label[row]))
        for row in order
        if (faces := sets[manifest.source[row]]) is not None
    )
    write_face_set(folder, noisy, manifest.num_train_classes, base.image_size)
    return FaceSet.open(folder)


def same_records(found: RecordReader, expected: RecordReader) -> None:
    assert sorted(found.keys) == sorted(expected.keys)
    for key in expected.keys.tolist():
        assert bytes(found.read(key)) == bytes(expected.read(key)), f"record {key}"


@pytest.mark.parametrize("block", [64, 4000, 1 << 20])
def test_equal_to_the_simple_way_record_by_record(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    monkeypatch.setattr(copy_records, "BLOCK_BYTES", block)
    materialize.materialize(manifest, base, outliers, tmp_path / "out")
    expected = made_simply(manifest, base, outliers, tmp_path / "simple")
    found = FaceSet.open(tmp_path / "out")
    same_records(found.records, expected.records)
    assert found.records.num_bytes == expected.records.num_bytes
    assert (found.keys.tolist(), found.labels.tolist()) == (expected.keys.tolist(), expected.labels.tolist())
    assert (found.num_classes, found.image_size) == (12, (112, 96))


@pytest.mark.parametrize("name", ["clean", "closed30"])
def test_without_outliers(name: str, tmp_path: Path, base: FaceSet) -> None:
    manifest = make_manifest(load_recipe(name), base, None, seed=3)
    materialize.materialize(manifest, base, None, tmp_path / "out")
    expected = made_simply(manifest, base, None, tmp_path / "simple").records
    same_records(FaceSet.open(tmp_path / "out").records, expected)
    if name == "clean":
        assert sorted(frame(bytes(base.records.read(key))) for key in base.keys.tolist()) == sorted(
            frame(bytes(expected.read(key))) for key in base.keys.tolist()
        )


def test_rows_say_which_record_is_which_row(
    tmp_path: Path, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    (base.folder / "lfw.bin").write_bytes(b"pairs")
    materialize.materialize(manifest, base, outliers, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "rows.parquet").to_pydict()
    found = FaceSet.open(tmp_path / "out")
    assert rows["key"] == list(range(1, len(manifest) + 1))
    assert sorted(rows["row"]) == list(range(len(manifest)))
    for key, row in zip(rows["key"], rows["row"], strict=True):
        faces = outliers if manifest.source[row] else base
        assert found.labels[key - 1] == manifest.label[row]
        assert bytes(found.jpeg(key)) == bytes(faces.jpeg(int(manifest.source_index[row])))
    assert Manifest.read(tmp_path / "out" / "manifest.parquet").checksum == manifest.checksum
    assert (tmp_path / "out" / "lfw.bin").read_bytes() == b"pairs"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted((*FILES, "lfw.bin"))


@pytest.mark.parametrize("blocks", [0, 1, 7])
def test_resumed_equals_uninterrupted(
    blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    monkeypatch.setattr(copy_records, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(materialize, "_BYTES_PER_SAVE", 3000)
    materialize.materialize(manifest, base, outliers, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(materialize, "_index_lines", interrupted_after(blocks, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            materialize.materialize(manifest, base, outliers, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.part").is_dir()
    materialize.materialize(manifest, base, outliers, tmp_path / "out")
    assert not (tmp_path / "out.part").exists()
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def interrupted_after(blocks: int, error: BaseException) -> Callable[[CopiedBlock, int], bytes]:
    """The function that makes index lines, but for an error at some call."""
    real, calls = materialize._index_lines, iter(range(1000))

    def index_lines(block: CopiedBlock, begin: int) -> bytes:
        if next(calls) == blocks:
            raise error
        return real(block, begin)

    return index_lines


def test_work_begun_for_another_manifest_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(materialize, "_index_lines", interrupted_after(0, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            materialize.materialize(manifest, base, outliers, tmp_path / "out")
    other = make_manifest(load_recipe("c20o20"), base, outliers, seed=4)
    with pytest.raises(FileError, match="begun with other data or arguments"):
        materialize.materialize(other, base, outliers, tmp_path / "out")


def test_a_full_disk_is_one_line_and_can_be_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(materialize, "_index_lines", interrupted_after(0, full))
        with pytest.raises(FileError, match=r"out.part: the disk is full \(free some space"):
            materialize.materialize(manifest, base, outliers, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    materialize.materialize(manifest, base, outliers, tmp_path / "out")
    assert len(FaceSet.open(tmp_path / "out").keys) == len(manifest)


def test_damage_is_named(tmp_path: Path, base: FaceSet) -> None:
    manifest = make_manifest(load_recipe("closed30"), base, None, seed=3)
    rec, key = base.records.rec, 20
    offset = base.records.index.offset(key)
    damaged = bytearray(rec.read_bytes())
    damaged[offset] ^= 1
    rec.write_bytes(damaged)
    with pytest.raises(FileError, match=f"record {key} at byte {offset}: expected the magic number"):
        materialize.materialize(manifest, FaceSet.open(base.folder), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_flipped_byte_of_an_image_is_found_where_there_are_checksums(tmp_path: Path, base: FaceSet) -> None:
    manifest = make_manifest(load_recipe("closed30"), base, None, seed=3)
    sums = [zlib.crc32(base.records.read(key)) for key in base.records.keys.tolist()]
    RecordSums.write(base.folder / "train.sums", base.records.keys, np.array(sums, dtype=np.uint32))
    rec = base.records.rec
    materialize.materialize(manifest, FaceSet.open(base.folder), None, tmp_path / "sound")
    damaged = bytearray(rec.read_bytes())
    damaged[base.records.index.offset(21) + 32] ^= 4
    rec.write_bytes(damaged)
    with pytest.raises(FileError, match=r"record 21 at byte .* differs from its checksum"):
        materialize.materialize(manifest, FaceSet.open(base.folder), None, tmp_path / "out")


def test_an_index_that_points_into_a_record_is_found(tmp_path: Path, base: FaceSet) -> None:
    lines = (base.folder / "train.idx").read_text().splitlines()
    key, offset = map(int, lines[5].split("\t"))
    lines[5] = f"{key}\t{offset + 8}"
    (base.folder / "train.idx").write_text("\n".join(lines))
    moved = FaceSet.open(base.folder)
    manifest = make_manifest(load_recipe("clean"), moved, None, seed=3)
    with pytest.raises(FileError, match=f"record {key} at byte {offset + 8}"):
        materialize.materialize(manifest, moved, None, tmp_path / "out")


def test_more_records_than_float32_counts_have_the_im2rec_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    monkeypatch.setattr(layouts, "MAX_EXACT", len(manifest))
    materialize.materialize(manifest, base, outliers, tmp_path / "out")
    found = FaceSet.open(tmp_path / "out")
    assert found.layout == "im2rec"
    labels = dict(zip(found.keys.tolist(), found.labels.tolist(), strict=True))
    assert labels == dict(enumerate(manifest.label.tolist()))


def test_noise_by_batch_is_no_data_set(tmp_path: Path, base: FaceSet, outliers: FaceSet) -> None:
    manifest = make_manifest(load_recipe("batch15o05"), base, outliers, seed=0)
    with pytest.raises(UserError, match="'batch15o05' is drawn anew for every batch"):
        materialize.materialize(manifest, base, outliers, tmp_path / "out")


def test_sizes_that_differ_are_warned_of(tmp_path: Path, manifest: Manifest, base: FaceSet, outliers: FaceSet) -> None:
    assert materialize.different_sizes(manifest, base, outliers) is None
    (outliers.folder / "property").write_text("9,250,250\n")
    large = FaceSet.open(outliers.folder)
    warning = materialize.different_sizes(manifest, base, large)
    assert warning is not None
    assert warning.startswith("the outliers' images are 250x250, those of the data set 112x96")
    clean = make_manifest(NoiseRecipe(name="clean"), base, None, seed=0)
    assert materialize.different_sizes(clean, base, large) is None


def test_copies_of_records_with_many_labels_in_any_order_several_times(tmp_path: Path) -> None:
    bodies = {key: bytes([key]) * (key * 13 % 29 + 1) + MAGIC * (key % 3 == 0) for key in range(20)}
    with RecordWriter(tmp_path / "many.rec") as writer:
        for key, body in bodies.items():
            label: Any = np.arange(key % 4, dtype=np.float32) if key % 4 else float(key)
            writer.write(key, pack(Header(0, label, key), body))
    records = RecordReader(tmp_path / "many.rec")
    source_keys = np.array([7, 3, 7, 19, 0, 1, 7, 3, 12, 13, 14])
    keys, labels = np.arange(100, 111), np.arange(11, dtype=np.int32)
    copied = {}
    for block in RecordCopier(records, source_keys, keys, labels).blocks():
        ends = [*block.offsets[1:].tolist(), block.data.nbytes]
        for key, begin, end in zip(block.keys.tolist(), block.offsets.tolist(), ends, strict=True):
            copied[key] = block.data.tobytes()[begin:end]
    expected = zip(keys.tolist(), labels.tolist(), source_keys.tolist(), strict=True)
    assert copied == {key: frame(pack(Header(0, float(label), key), bodies[source])) for key, label, source in expected}


def test_a_large_gap_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_face_set(tmp_path, ((bytes([key]) * 400, 0) for key in range(50)), 1, (8, 8))
    records = RecordReader(tmp_path / "train.rec")
    monkeypatch.setattr(copy_records, "MAX_GAP_BYTES", 2000)
    blocks = list(RecordCopier(records, np.array([1, 2, 49]), np.arange(3), np.zeros(3, np.int32)).blocks())
    assert [block.keys.tolist() for block in blocks] == [[0, 1], [2]]
    assert unpack(memoryview(blocks[1].data.tobytes())[8:])[1] == bytes([48]) * 400


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, base: FaceSet, outliers: FaceSet
) -> None:
    make_manifest(load_recipe("c20o20"), base, outliers, seed=3).write(tmp_path / "m.parquet")
    (outliers.folder / "property").write_text("9,250,250\n")
    command = ["materialize", "m.parquet", "--data", "base", "--out", "out"]
    monkeypatch.chdir(tmp_path)

    def outcome(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["noisebench", *arguments])
        with pytest.raises(SystemExit) as stopped:
            run(app, "noisebench")
        printed = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, printed.out, printed.err

    with monkeypatch.context() as patch:
        patch.setattr(materialize, "_index_lines", interrupted_after(0, KeyboardInterrupt()))
        code, out, err = outcome(*command)
    assert (code, out) == (75, "")
    assert err.splitlines()[-1] == "noisebench: stopped; the same command goes on from here"
    code, out, err = outcome(*command)
    assert (code, out) == (0, "wrote out: 57 images of 12 classes\n")
    assert err.splitlines()[0].startswith("warning: the outliers' images are 250x250")
    code, out, err = outcome(*command)
    assert (code, out) == (2, "")
    assert err.splitlines()[1:] == ["noisebench: out: already exists (choose another folder or remove it first)"]
