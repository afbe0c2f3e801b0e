"""Face sets in both layouts: what is read, what is written, and every contradiction a set can hold."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from noisebench.errors import FileError, UserError
from noisebench.formats import layouts
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.formats.jpeg import encode
from noisebench.formats.recordio import Header, RecordReader, RecordWriter, pack, unpack

LABELS = [0, 0, 0, 2, 2]
SHADES = [10, 60, 110, 160, 210]
Record = tuple[int, float | Sequence[float], bytes]


def image_of(shade: int) -> bytes:
    return encode(np.full((12, 10, 3), shade, dtype=np.uint8))


IMAGES = [image_of(shade) for shade in SHADES]
INSIGHTFACE: list[Record] = [
    (0, [6, 9], b""),
    *((key, label, image) for key, (label, image) in enumerate(zip(LABELS, IMAGES, strict=True), start=1)),
    (6, [1, 4], b""),
    (7, [4, 4], b""),
    (8, [4, 6], b""),
]
IM2REC: list[Record] = [(40, 2, IMAGES[0]), (7, [1, 40], IMAGES[1]), (0, [0], IMAGES[2]), (9, 2, IMAGES[3])]


def write_records(folder: Path, records: Sequence[Record], properties: str | None = "3,12,10\n") -> Path:
    folder.mkdir(exist_ok=True)
    with RecordWriter(folder / "train.rec") as writer:
        for key, label, body in records:
            value = float(label) if isinstance(label, (int, float)) else np.array(label, dtype=np.float32)
            writer.write(key, pack(Header(0, value, key), body))
    if properties is not None:
        (folder / "property").write_text(properties)
    return folder


def replaced(records: list[Record], *changes: Record) -> list[Record]:
    by_key = {record[0]: record for record in changes}
    return [by_key.get(record[0], record) for record in records]


def fault_of(folder: Path) -> FileError:
    with pytest.raises(FileError) as caught:
        FaceSet.open(folder)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("order", [1, -1])
def test_insightface_layout(tmp_path: Path, order: int) -> None:
    faces = FaceSet.open(write_records(tmp_path, INSIGHTFACE[::order]))
    assert faces.layout == "insightface"
    assert faces.keys.tolist() == [1, 2, 3, 4, 5]
    assert faces.labels.tolist() == LABELS
    assert (faces.num_classes, faces.image_size) == (3, (12, 10))
    assert faces.keys.dtype == np.int64
    assert faces.labels.dtype == np.int32
    assert [bytes(faces.jpeg(key)) for key in faces.keys.tolist()] == IMAGES
    seen: list[int] = []
    faces.check_labels(seen.append)
    assert seen == [5]


def test_im2rec_layout_with_keys_in_any_order(tmp_path: Path) -> None:
    faces = FaceSet.open(write_records(tmp_path, IM2REC))
    assert faces.layout == "im2rec"
    assert faces.keys.tolist() == [40, 7, 0, 9]
    assert faces.labels.tolist() == [2, 1, 0, 2]
    assert bytes(faces.jpeg(7)) == IMAGES[1]
    faces.check_labels()


def test_im2rec_layout_whose_first_record_looks_like_a_header(tmp_path: Path) -> None:
    faces = FaceSet.open(write_records(tmp_path, [(0, [2, 3], IMAGES[0]), (1, [1, 2], IMAGES[1])]))
    assert faces.layout == "im2rec"
    assert faces.labels.tolist() == [2, 1]


@pytest.mark.parametrize("records", [INSIGHTFACE, IM2REC])
def test_without_property_size_and_classes_come_from_the_records(tmp_path: Path, records: list[Record]) -> None:
    faces = FaceSet.open(write_records(tmp_path, records, properties=None))
    assert (faces.num_classes, faces.image_size) == (3, (12, 10))


def test_property_may_declare_classes_without_images(tmp_path: Path) -> None:
    assert FaceSet.open(write_records(tmp_path, INSIGHTFACE, "9,12,10")).num_classes == 9


def test_a_set_too_large_for_its_ranges_takes_each_images_own_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "MAX_EXACT", 8)
    rounded = replaced(INSIGHTFACE, (0, [7, 8], b""), (6, [1, 5], b""), (8, [5, 7], b""))
    faces = FaceSet.open(write_records(tmp_path, rounded[::-1]))
    assert faces.layout == "insightface"
    assert faces.keys.tolist() == [1, 2, 3, 4, 5]
    assert faces.labels.tolist() == LABELS


def test_pixels(tmp_path: Path) -> None:
    faces = FaceSet.open(write_records(tmp_path, INSIGHTFACE))
    batch = np.empty((3, 12, 10, 3), dtype=np.uint8)
    faces.read_images([5, 1, 3], batch, threads=2)
    for image, shade in zip(batch, [210, 10, 110], strict=True):
        assert np.abs(image.astype(int) - shade).max() <= 2
    np.testing.assert_array_equal(faces.image(3), batch[2])


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    faces = FaceSet.open(write_records(tmp_path, IM2REC))
    keys = faces.keys.tolist() * 50
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda key: faces.image(key).tobytes(), keys))
    assert images == [faces.image(key).tobytes() for key in keys]


def test_fingerprint_changes_with_keys_labels_and_places(tmp_path: Path) -> None:
    def fingerprint(name: str, records: list[Record]) -> str:
        return FaceSet.open(write_records(tmp_path / name, records)).fingerprint

    first = fingerprint("a", IM2REC)
    assert first == fingerprint("b", IM2REC)
    others = [
        fingerprint("c", replaced(IM2REC, (40, 1, IMAGES[0]))),
        fingerprint("d", [(41, 2, IMAGES[0]), *IM2REC[1:]]),
        fingerprint("e", replaced(IM2REC, (9, 2, IMAGES[3] + b"more"))),
        fingerprint("f", IM2REC[:-1]),
    ]
    assert len({first, *others}) == 5


@pytest.mark.parametrize(
    ("changes", "key", "problem"),
    [
        ([(0, [1, 9], b"")], 0, "expected the header [images + 1, images + 1 + identities], found [1.0, 9.0]"),
        ([(0, [6.5, 9], b"")], 0, "found [6.5, 9.0]"),
        ([(0, [float("nan"), 9], b"")], 0, "found [nan, 9.0]"),
        ([(0, [6], b"")], 0, "found [6.0, nan]"),
        ([(0, [6, 1e7], b"")], 0, "the header promises 10000000 records, the index lists 9"),
        ([(6, [2, 4], b"")], 6, "identity 0 has the range [2.0, 4.0]; expected one that begins at 1"),
        ([(7, [5, 5], b"")], 7, "identity 1 has the range [5.0, 5.0]; expected one that begins at 4"),
        ([(7, [4, 3], b"")], 7, "identity 1 has the range [4.0, 3.0]"),
        ([(8, [4, 5], b"")], 8, "and ends at 6, after the last image"),
        ([(8, [4, float("inf")], b"")], 8, "identity 2 has the range [4.0, inf]"),
        ([(8, 4, b"")], 8, "identity 2 has the range [4.0, nan]"),
    ],
)
def test_contradicting_ranges_are_named(tmp_path: Path, changes: list[Record], key: int, problem: str) -> None:
    fault = fault_of(write_records(tmp_path, replaced(INSIGHTFACE, *changes)))
    assert fault.path == tmp_path / "train.rec"
    assert fault.problem.startswith(f"record {key} at byte ")
    assert problem in fault.problem
    assert fault.remedy


def test_a_key_that_the_index_lacks_is_named(tmp_path: Path) -> None:
    records = [(99, *record[1:]) if record[0] == 3 else record for record in INSIGHTFACE]
    assert "train.idx: key 3 is not listed" in str(fault_of(write_records(tmp_path, records)))


def test_more_identities_than_property_declares_is_an_error(tmp_path: Path) -> None:
    fault = fault_of(write_records(tmp_path, INSIGHTFACE, "2,12,10"))
    assert fault.problem.startswith("record 8 at byte ")
    assert "label 2 is outside the declared range" in fault.problem


@pytest.mark.parametrize("label", [3, -1, 0.5, float("nan"), float("inf"), 1e20])
def test_a_label_outside_the_declared_range_is_named(tmp_path: Path, label: float) -> None:
    fault = fault_of(write_records(tmp_path, replaced(IM2REC, (7, label, IMAGES[1]))))
    assert fault.problem.startswith("record 7 at byte ")
    assert "is outside the declared range, whole numbers from 0 to 2" in fault.problem


def test_an_im2rec_record_without_an_image_is_named(tmp_path: Path) -> None:
    fault = fault_of(write_records(tmp_path, replaced(IM2REC, (9, 2, b""))))
    assert "record 9 at byte " in fault.problem
    assert "holds no image" in fault.problem


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ((3, 2, IMAGES[2]), "record 3 at byte {}: its own label is 2, but it lies in the range of identity 0"),
        ((3, 5, IMAGES[2]), "record 3 at byte {}: label 5 is outside the declared range"),
    ],
)
def test_check_labels_finds_an_image_in_the_wrong_range(tmp_path: Path, record: Record, problem: str) -> None:
    faces = FaceSet.open(write_records(tmp_path, replaced(INSIGHTFACE, record)))
    with pytest.raises(FileError) as caught:
        faces.check_labels()
    assert problem.format(faces.records.index.offset(3)) in caught.value.problem


@pytest.mark.parametrize(
    "text", ["", "3,12", "3;12;10", "a,12,10", "0,12,10", "3,-12,10", "3,12,99999", f"{2**40},1,1"]
)
def test_a_bad_property_is_an_error(tmp_path: Path, text: str) -> None:
    fault = fault_of(write_records(tmp_path, INSIGHTFACE, text))
    assert fault.path == tmp_path / "property"
    assert "num_classes,height,width" in fault.problem


@pytest.mark.parametrize("name", ["train.rec", "train.idx"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (write_records(tmp_path, INSIGHTFACE) / name).unlink()
    assert fault_of(tmp_path).path == tmp_path / name


def test_a_truncated_set_is_an_error_at_once(tmp_path: Path) -> None:
    rec = write_records(tmp_path, INSIGHTFACE) / "train.rec"
    rec.write_bytes(rec.read_bytes()[:-4])
    assert "record 8 at byte " in str(fault_of(tmp_path))
    rec.write_bytes(rec.read_bytes()[:-300])
    assert "past the end" in str(fault_of(tmp_path))


def test_unusable_images_are_named(tmp_path: Path) -> None:
    turned = encode(np.zeros((10, 12, 3), dtype=np.uint8))
    records = replaced(INSIGHTFACE, (2, 0, IMAGES[1][:-2]), (3, 0, b""), (4, 2, turned))
    faces = FaceSet.open(write_records(tmp_path, records))
    out = np.empty((2, 12, 10, 3), dtype=np.uint8)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: faces.image(2), "record 2 at byte .* cut short"),
        (lambda: faces.jpeg(3), "record 3 at byte .* holds no image"),
        (lambda: faces.read_images([1, 2], out), "record 2 at byte .* cut short"),
        (lambda: faces.read_images([1, 4], out), "record 4 at byte .* 10x12 pixels; expected 12x10"),
        (lambda: faces.jpeg(77), "key 77 is not listed"),
    ]
    for read, problem in wrong:
        with pytest.raises(FileError, match=problem):
            read()


def test_an_unknown_reader_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown reader 'mxnot': did you mean 'mxnet'"):
        FaceSet.open(write_records(tmp_path, INSIGHTFACE), reader="mxnot")


def test_the_mxnet_reader_without_mxnet_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mxnet", None)
    with pytest.raises(UserError, match=r"pip install 'noisebench\[mxnet\]'"):
        FaceSet.open(write_records(tmp_path, INSIGHTFACE), reader="mxnet")


def test_a_written_set_is_read_back(tmp_path: Path) -> None:
    write_face_set(tmp_path / "new", zip(IMAGES, LABELS, strict=True), num_classes=3, image_size=(12, 10))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["property", "train.idx", "train.rec"]
    assert (tmp_path / "new" / "property").read_text() == "3,12,10\n"
    faces = FaceSet.open(tmp_path / "new")
    faces.check_labels()
    assert faces.labels.tolist() == LABELS
    assert [bytes(faces.jpeg(key)) for key in faces.keys.tolist()] == IMAGES


def test_a_written_set_has_the_records_of_the_layout(tmp_path: Path) -> None:
    write_face_set(tmp_path, zip(IMAGES, LABELS, strict=True), num_classes=3, image_size=(12, 10))
    reader = RecordReader(tmp_path / "train.rec")
    assert sorted(reader.keys.tolist()) == list(range(9))
    for key, label, body in INSIGHTFACE:
        header, found = unpack(reader.read(key))
        assert header.id == key
        assert np.array_equal(header.label, label)
        assert bytes(found) == body


@pytest.mark.parametrize("labels", [[0, 2, 1], [0, 3], [-1], []])
def test_labels_out_of_order_or_range_leave_nothing_behind(tmp_path: Path, labels: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_face_set(tmp_path, ((IMAGES[0], label) for label in labels), num_classes=3, image_size=(12, 10))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    def images() -> Iterator[tuple[bytes, int]]:
        yield IMAGES[0], 0
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(FileError, match="the disk is full"):
        write_face_set(tmp_path, images(), num_classes=3, image_size=(12, 10))
    assert list(tmp_path.iterdir()) == []


def test_the_real_set(lfw: Path) -> None:
    faces = FaceSet.open(lfw)
    names = [line.split("\t") for line in (lfw / "identities.txt").read_text().splitlines()]
    assert faces.layout == "insightface"
    assert np.bincount(faces.labels).tolist() == [int(count) for _, _, count in names]
    faces.check_labels()
    assert faces.image(4324).shape == (*faces.image_size, 3)


def test_the_real_outliers(lfw: Path) -> None:
    faces = FaceSet.open(lfw / "outliers")
    assert faces.layout == "im2rec"
    assert faces.keys.tolist() == list(range(1743))
    assert len(np.unique(faces.labels)) == faces.num_classes == 1300
    faces.check_labels()
