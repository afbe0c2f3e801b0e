"""Sets with every kind of fault: each is found, at its byte, and only it; a repaired set has none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets_tools import verify as verify_module
from datasets_tools.checking import face_set
from datasets_tools.checking.face_set import FaceSetChecker
from datasets_tools.checking.faults import BlockResult, Fault
from datasets_tools.verify import Report, verify
from noisebench.errors import FileError, UserError
from noisebench.formats import layouts, verification_bin
from noisebench.formats.face_set import FaceSet
from noisebench.formats.jpeg import encode
from noisebench.formats.recordio import Header, RecordReader, RecordWriter, frame, pack

LABELS = [0, 0, 1, 2, 2]
SIZE = (16, 12)


def photo(shade: int, size: tuple[int, int] = SIZE) -> bytes:
    ramp = np.arange(size[0] * size[1] * 3).reshape(*size, 3) % 50
    return encode((ramp + shade).astype(np.uint8))


IMAGES = [photo(40 * number) for number in range(5)]
Records = dict[int, tuple[float | list[float], bytes]]
INSIGHTFACE: Records = {
    **{key: (float(label), image) for key, (label, image) in enumerate(zip(LABELS, IMAGES, strict=True), start=1)},
    0: ([6, 9], b""),
    6: ([1, 3], b""),
    7: ([3, 4], b""),
    8: ([4, 6], b""),
}
IM2REC: Records = {30: (2.0, IMAGES[0]), 7: ([1.0, 5.0], IMAGES[1]), 12: (0.0, IMAGES[2]), 9: (2.0, IMAGES[3])}


def write(folder: Path, records: Records = INSIGHTFACE, properties: str | None = "3,16,12\n") -> Path:
    folder.mkdir(exist_ok=True)
    with RecordWriter(folder / "train.rec") as writer:
        for key, (label, image) in records.items():
            value = np.array(label, dtype=np.float32) if isinstance(label, list) else label
            writer.write(key, pack(Header(0, value, key), image))
    if properties is not None:
        (folder / "property").write_text(properties)
    return folder


def offsets(folder: Path) -> dict[int, int]:
    lines = (folder / "train.idx").read_text().splitlines()
    return {int(key): int(offset) for key, offset in (line.split("\t") for line in lines)}


def the_fault(report: Report) -> Fault:
    assert len(report.faults) == 1, report.faults
    return report.faults[0]


def poke(folder: Path, key: int, place: int, data: bytes) -> None:
    """Overwrite bytes of a record, counted from its beginning."""
    rec = bytearray((folder / "train.rec").read_bytes())
    start = offsets(folder)[key] + place
    rec[start : start + len(data)] = data
    (folder / "train.rec").write_bytes(rec)


@pytest.mark.parametrize("records", [INSIGHTFACE, dict(sorted(INSIGHTFACE.items(), reverse=True)), IM2REC])
@pytest.mark.parametrize("properties", ["3,16,12\n", None])
def test_a_sound_set_has_no_fault(tmp_path: Path, records: Records, properties: str | None) -> None:
    report = verify(write(tmp_path / "set", records, properties))
    assert report.passed
    assert report.records == len(records)
    assert str(report).endswith(f"{len(records)} checked, no fault")
    assert {path.name for path in (tmp_path / "set").iterdir()} <= {"train.rec", "train.idx", "property"}


@pytest.mark.parametrize(
    ("key", "image", "problem"),
    [
        (2, IMAGES[1][:-2], "cut short: a JPEG without its end"),
        (2, b"GIF89a" + bytes(20), "neither JPEG nor PNG"),
        (2, b"", "holds no image"),
        (2, photo(9, (12, 16)), "12x16 pixels; expected 16x12"),
    ],
)
@pytest.mark.parametrize("properties", ["3,16,12\n", None])
def test_an_unusable_image(tmp_path: Path, key: int, image: bytes, problem: str, properties: str | None) -> None:
    folder = write(tmp_path / "set", INSIGHTFACE | {key: (0.0, image)}, properties)
    fault = the_fault(verify(folder))
    assert (fault.file, fault.byte, fault.key, fault.kind) == ("train.rec", offsets(folder)[key], key, "image")
    assert problem in fault.problem


def test_damage_that_the_decoder_forgives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "set")
    scan = IMAGES[2].rindex(b"\xff\xda")
    poke(folder, 3, 32 + scan + 40, b"\xff\x00\xff\x00\xff\x00\xff\x00")
    assert FaceSet.open(folder).image(3).shape == (*SIZE, 3)
    capfd.readouterr()
    assert "the decoder warns: Corrupt JPEG data" in the_fault(verify(folder, workers=1)).problem
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("place", "data", "problem"),
    [
        (0, b"\0", "expected the magic number"),
        (4, (1 << 28).to_bytes(4, "little"), "cut short"),
        (7, b"\x60", "begins in the middle of a split record"),
        (4, b"\x00\x08", "run into another record"),
        (4, b"\x10\0", "too few for an image header"),
        (8, b"\xff\xff", "promises 65535 labels"),
    ],
)
def test_a_damaged_record(tmp_path: Path, place: int, data: bytes, problem: str) -> None:
    folder = write(tmp_path / "set")
    poke(folder, 2, place, data)
    faults = [fault for fault in verify(folder).faults if fault.kind != "gap"]
    assert [(fault.byte, fault.key, fault.kind) for fault in faults] == [(offsets(folder)[2], 2, "record")]
    assert problem in faults[0].problem


def cut_the_end(folder: Path) -> None:
    rec = folder / "train.rec"
    rec.write_bytes(rec.read_bytes()[:-4])


def leave_out_a_line(folder: Path) -> None:
    idx = folder / "train.idx"
    idx.write_text("".join(idx.read_text().splitlines(keepends=True)[:-1]))


def append_a_record(folder: Path) -> None:
    rec = folder / "train.rec"
    rec.write_bytes(rec.read_bytes() + frame(b"hidden"))


def list_a_further_record(folder: Path) -> None:
    size = (folder / "train.rec").stat().st_size
    append_a_record(folder)
    with (folder / "train.idx").open("a") as idx:
        idx.write(f"50\t{size}\n")


def declare_fewer_classes(folder: Path) -> None:
    (folder / "property").write_text("2,16,12\n")


def spoil_property(folder: Path) -> None:
    (folder / "property").write_text("three,16,12\n")


def spoil_index(folder: Path) -> None:
    (folder / "train.idx").write_text("0\tx\n")


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (cut_the_end, ["train.rec byte {8} record 8: cut short"]),
        (
            leave_out_a_line,
            [
                "train.idx record 8: record 8 not listed, but counted by the header",
                "train.rec byte {8}: 40 bytes that the index",
            ],
        ),
        (append_a_record, ["train.rec byte {end}: 16 bytes that the index leaves out, beginning like a record"]),
        (
            list_a_further_record,
            ["record 50 listed, but not counted by the header", "too few for an image head"],
        ),
        (
            declare_fewer_classes,
            ["property byte 0: says 2 classes, but the header counts 3 identities"]
            + [f"record {key}: label 2 is outside the declared range 0 to 1" for key in (4, 5)],
        ),
        (spoil_property, ["property byte 0: expected 'num_classes,height,width'"]),
        (spoil_index, ["train.idx: line 1: expected 'key<TAB>offset'"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_files_that_contradict_each_other(tmp_path: Path, change: Callable[[Path], None], problems: list[str]) -> None:
    folder = write(tmp_path / "set")
    places, end = offsets(folder), (folder / "train.rec").stat().st_size
    change(folder)
    found = [str(fault) for fault in verify(folder).faults]
    assert len(found) == len(problems)
    for text, problem in zip(found, problems, strict=True):
        assert problem.replace("{8}", str(places[8])).replace("{end}", str(end)) in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({0: ([1, 9], b"")}, [(0, "layout")]),
        ({7: ([2, 4], b"")}, [(7, "layout")]),
        ({6: ([1, 4], b""), 7: ([3, 3], b"")}, [(7, "layout"), (3, "label")]),
        ({8: ([4, 5], b"")}, [(8, "layout")]),
        ({2: (1.0, IMAGES[1])}, [(2, "label")]),
        ({2: (0.5, IMAGES[1])}, [(2, "label")]),
        ({2: (7.0, IMAGES[1]), 5: (-1.0, IMAGES[4])}, [(2, "label"), (5, "label")]),
    ],
)
def test_ranges_and_labels(tmp_path: Path, changes: Records, expected: list[tuple[int, str]]) -> None:
    report = verify(write(tmp_path / "set", INSIGHTFACE | changes))
    assert [(fault.key, fault.kind) for fault in report.faults] == expected
    assert all(fault.byte is not None for fault in report.faults)


def test_im2rec_labels_and_images(tmp_path: Path) -> None:
    report = verify(write(tmp_path / "set", IM2REC | {12: (3.0, IMAGES[2]), 9: (2.0, b"")}))
    assert [(fault.key, fault.kind) for fault in report.faults] == [(12, "label"), (9, "image")]


def test_every_fault_is_found_by_any_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [IMAGES[number % 5] for number in range(3000)]
    for number in range(0, 3000, 500):
        images[number] = images[number][:-2]
    pairs = [(number // 300, image) for number, image in enumerate(images)]
    folder = tmp_path / "set"
    write(folder, {number: (float(label), image) for number, (label, image) in enumerate(pairs)}, None)
    monkeypatch.setattr(verify_module, "_MIN_BLOCKS_A_PROCESS", 1)
    reports = [verify(folder, workers=workers) for workers in (1, 3)]
    assert [fault.key for fault in reports[0].faults] == list(range(0, 3000, 500))
    assert reports[0] == reports[1]


def test_sums_catch_every_changed_byte_of_a_payload(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    report = verify(folder, write_sums=True)
    assert report.sums == str(folder / "train.sums")
    assert verify(folder).passed
    whole = (folder / "train.rec").read_bytes()
    reader = RecordReader(folder / "train.rec")
    start, length = offsets(folder)[4], len(reader.read(4))
    for place in range(8, 8 + length, 37):
        poke(folder, 4, place, bytes([whole[start + place] ^ 16]))
        with pytest.raises(FileError, match=r"record 4 .*differs from its checksum in train\.sums"):
            RecordReader(folder / "train.rec").read(4)
        (folder / "train.rec").write_bytes(whole)
    poke(folder, 4, 8 + length - 9, b"\0")
    assert the_fault(verify(folder)) == Fault(
        "train.rec", start, 4, "record", "differs from its checksum in train.sums"
    )
    assert verify(folder, write_sums=True).sums is None


def test_sums_of_another_set(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", IM2REC)
    verify(folder, write_sums=True)
    write(folder, {**{key: IM2REC[key] for key in (30, 7, 12)}, 5: IM2REC[9]})
    faults = verify(folder).faults
    assert [(fault.file, fault.key) for fault in faults] == [("train.sums", 9), ("train.rec", 5)]
    (folder / "train.sums").write_bytes(b"junk")
    assert "no checksums of records, or damaged" in str(the_fault(verify(folder)))


def test_a_repaired_insightface_set(tmp_path: Path) -> None:
    changes: Records = {3: (1.0, b"no image"), 4: (2.0, IMAGES[3][:-2]), 6: ([1, 5], b"")}
    folder = write(tmp_path / "set", INSIGHTFACE | changes)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    report = verify(folder, repair=tmp_path / "new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert report.repaired is not None
    assert (report.repaired.left_out, report.repaired.emptied) == ([3, 4], [1])
    assert "without any image, but still counted: identities 1" in str(report)
    assert verify(tmp_path / "new").passed
    faces = FaceSet.open(tmp_path / "new")
    assert faces.keys.tolist() == [1, 2, 3]
    assert faces.labels.tolist() == [0, 0, 2]
    assert (faces.num_classes, faces.image_size) == (3, SIZE)
    assert [bytes(faces.jpeg(key)) for key in (1, 2, 3)] == [IMAGES[0], IMAGES[1], IMAGES[4]]


def test_a_repaired_im2rec_set_keeps_its_keys_and_records(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", IM2REC | {12: (0.0, b"no image")})
    old = RecordReader(folder / "train.rec")
    report = verify(folder, repair=tmp_path / "new")
    assert report.repaired is not None
    assert report.repaired.emptied == [0]
    new = RecordReader(tmp_path / "new" / "train.rec")
    assert new.keys.tolist() == [30, 7, 9]
    assert [bytes(new.read(key)) for key in (30, 7, 9)] == [bytes(old.read(key)) for key in (30, 7, 9)]
    assert verify(tmp_path / "new").passed


def test_a_repaired_set_with_more_records_than_float32_counts_has_the_im2rec_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "set", INSIGHTFACE | {3: (1.0, b"no image")})
    monkeypatch.setattr(layouts, "MAX_EXACT", 5)
    assert verify(folder, repair=tmp_path / "new").repaired is not None
    faces = FaceSet.open(tmp_path / "new")
    assert (faces.layout, faces.keys.tolist(), faces.labels.tolist()) == ("im2rec", [0, 1, 2, 3], [0, 0, 2, 2])
    assert [bytes(faces.jpeg(key)) for key in range(4)] == [IMAGES[0], IMAGES[1], IMAGES[3], IMAGES[4]]


def test_a_set_without_its_header_is_repaired_from_the_images_labels(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    poke(folder, 0, 0, b"\0\0\0\0")
    with pytest.raises(FileError):
        FaceSet.open(folder)
    assert the_fault(verify(folder, repair=tmp_path / "new")).key == 0
    faces = FaceSet.open(tmp_path / "new")
    assert faces.layout == "insightface"
    assert faces.labels.tolist() == LABELS


def test_what_cannot_be_repaired(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {1: (0.0, b"x"), 2: (0.0, b"y")}, None)
    with pytest.raises(UserError, match="not one sound image"):
        verify(folder, repair=tmp_path / "new")
    with pytest.raises(UserError, match="already exists"):
        verify(folder, repair=folder)
    spoil_index(folder)
    with pytest.raises(UserError, match=r"train\.idx: line 1: .* so nothing can be repaired"):
        verify(folder, repair=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_verification_files(tmp_path: Path) -> None:
    path = tmp_path / "faces.bin"
    verification_bin.write(path, IMAGES[:4], [True, False])
    assert verify(path).passed
    verification_bin.write(path, [*IMAGES[:3], IMAGES[3][:-2], IMAGES[4], photo(1, (8, 8))], [True, False, True])
    report = verify(path, repair=tmp_path / "new.bin")
    assert [(fault.byte, fault.key) for fault in report.faults] == [
        (path.read_bytes().index(IMAGES[3][:-2]), 3),
        (path.read_bytes().index(photo(1, (8, 8))), 5),
    ]
    repaired = verification_bin.read(tmp_path / "new.bin")
    assert (repaired.jpegs, repaired.same.tolist()) == (IMAGES[:2], [True])
    path.write_bytes(path.read_bytes()[:-20])
    assert the_fault(verify(path)).kind == "file"
    with pytest.raises(UserError, match="--write-sums is for"):
        verify(path, write_sums=True)


def test_a_stopped_check_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_set, "RECORDS_A_BLOCK", 2)
    folder = write(tmp_path / "set", INSIGHTFACE | {1: (0.0, b"no image"), 5: (2.0, b"")})
    checked: list[int] = []
    most = 3

    def check(checker: FaceSetChecker, block: int) -> BlockResult:
        if len(checked) == most:
            raise KeyboardInterrupt
        checked.append(block)
        return original(checker, block)

    original = FaceSetChecker.check
    monkeypatch.setattr(FaceSetChecker, "check", check)
    with pytest.raises(KeyboardInterrupt):
        verify(folder, workers=1)
    with (folder / ".train.verify").open("a") as journal:
        journal.write('[3, [[["train.rec", 1')  # as a crash would leave it
    most = 5
    report = verify(folder, workers=1)
    assert checked == [0, 1, 2, 3, 4]
    assert [fault.key for fault in report.faults] == [1, 5]
    assert not (folder / ".train.verify").exists()


def test_a_changed_set_is_checked_from_the_beginning(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    (folder / ".train.verify").write_text('{"version": "0"}\n[0, [["train.rec", 0, 1, "image", "old"]], []]\n')
    assert verify(folder).passed


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "noisebench", "data", "verify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", INSIGHTFACE | {2: (0.0, b"no image")})
    done = run(folder, "--json", "--repair", tmp_path / "new")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [(fault["byte"], fault["key"]) for fault in report["faults"]] == [(offsets(folder)[2], 2)]
    assert report["repaired"]["left_out"] == [2]
    good = run(tmp_path / "new", "--write-sums")
    assert (good.returncode, good.stderr) == (0, "")
    assert (tmp_path / "new" / "train.sums").is_file()
    for wrong in (
        [tmp_path / "nothing"],
        [tmp_path],
        [folder, "--workers", "0"],
        [folder, "--repair", tmp_path / "new"],
    ):
        done = run(*wrong)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1


def test_ctrl_c_leaves_with_75_and_a_journal(tmp_path: Path) -> None:
    large = photo(0, (1024, 1024))
    records: Records = {key: (float(key % 3), large) for key in range(3000)}
    folder = write(tmp_path / "set", records, "3,1024,1024\n")
    command = [sys.executable, "-m", "noisebench", "data", "verify", str(folder), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    journal = folder / ".train.verify"
    deadline = time.monotonic() + 60
    while not journal.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.strip()) == (75, "noisebench: stopped; the same command goes on from here")
    assert journal.exists()
