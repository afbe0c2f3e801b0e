"""The synthetic data set: what is in it, and that its bytes depend on nothing but its arguments."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets_tools import growing_set, studio
from datasets_tools.studio import Sitting
from datasets_tools.synthetic import contact_sheet, make_faces, photograph
from noisebench.cli import main
from noisebench.errors import FileError, UserError
from noisebench.files import sha256_of
from noisebench.formats import jpeg, verification_bin
from noisebench.formats.face_set import FaceSet
from noisebench.formats.recordio import RecordWriter

SIZE = 32

GOLDEN_VERSIONS = ("2.4", "5.0")
"""Of NumPy and OpenCV: with others the bytes may differ."""
GOLDEN = {
    "train": "2e62c0aa316d979962d4d06d2fb6e8136d15fe4f0615be8e20c41b650e3274f4",
    "outlier": "7d27a83a2e765078c1eef017407100239abf59a3291ccdf70914e1d7afe282e8",
    "verification": "020fa8345c39bf0a093d68f090514888ef0aaee1107a9512dd6152cd19aaf32e",
}
"""SHA-256 of the first two photographs of the first three people of each role in the default data set."""


def make(out: Path, identities: int = 3, images: int = 4, seed: int = 0, workers: int = 1) -> Path:
    make_faces(
        out,
        identities=identities,
        images=images,
        seed=seed,
        pairs=20,
        image_size=SIZE,
        workers=workers,
        progress=False,
    )
    return out


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("synthetic") / "faces")


def sums(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()}


def files_of(face_set: FaceSet) -> list[bytes]:
    return [bytes(face_set.jpeg(int(key))) for key in face_set.keys]


def test_the_parts_are_there(faces: Path) -> None:
    assert set(sums(faces)) == {
        "train.rec", "train.idx", "property", "contact_sheet.png", "synth_unseen.bin",
        "outliers/train.rec", "outliers/train.idx", "outliers/property",
    }  # fmt: skip
    train = FaceSet.open(faces)
    assert (train.num_classes, train.image_size, train.layout) == (3, (SIZE, SIZE), "insightface")
    np.testing.assert_array_equal(train.labels, np.repeat([0, 1, 2], 4))


@pytest.mark.parametrize(("identities", "images"), [(2, 2), (5, 3)])
def test_the_outliers_can_replace_half_of_the_train_set(tmp_path: Path, identities: int, images: int) -> None:
    folder = make(tmp_path / "faces", identities, images)
    outliers = FaceSet.open(folder / "outliers")
    assert len(outliers.keys) >= identities * images / 2
    assert set(outliers.labels) == set(range(outliers.num_classes))


def test_the_bytes_do_not_depend_on_the_number_of_processes(faces: Path, tmp_path: Path) -> None:
    assert sums(make(tmp_path / "again", workers=2)) == sums(faces)


@pytest.mark.skipif(
    not all(map(str.startswith, (np.__version__, cv2.__version__), GOLDEN_VERSIONS)),
    reason=f"the checksums are of NumPy and OpenCV {' and '.join(GOLDEN_VERSIONS)}",
)
@pytest.mark.parametrize("role", GOLDEN)
def test_the_default_photographs_are_what_they_always_were(role: str) -> None:
    files = [photograph(0, role, person, image) for person in range(3) for image in range(2)]
    assert hashlib.sha256(b"".join(files)).hexdigest() == GOLDEN[role]


def test_many_photographs_of_a_person_are_taken_in_several_sittings(tmp_path: Path) -> None:
    train = FaceSet.open(make(tmp_path / "faces", identities=2, images=35))
    key = int(train.keys[train.labels == 1][33])
    assert photograph(0, "train", 1, 33, SIZE) == train.jpeg(key)


@pytest.mark.parametrize(("stop", "workers"), [(5, 1), (13, 1), (40, 1), (150, 1), (30, 2)])
def test_stopped_it_goes_on_to_the_same_bytes(
    stop: int, workers: int, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_set, "SECONDS_BETWEEN_SAVES", 0.05)
    write = RecordWriter.write
    keys: list[int] = []

    def stopping(writer: RecordWriter, key: int, payload: bytes) -> None:
        keys.append(key)
        if len(keys) == stop:
            raise KeyboardInterrupt
        write(writer, key, payload)

    with monkeypatch.context() as patch:
        patch.setattr(RecordWriter, "write", stopping)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "faces", workers=workers)
    assert not (tmp_path / "faces").exists()
    assert sums(make(tmp_path / "faces", workers=workers)) == sums(faces)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_what_has_been_saved_is_not_made_again(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_set, "SECONDS_BETWEEN_SAVES", -1.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    take = Sitting.photographs
    taken: list[tuple[str, int]] = []

    def stopping(sitting: Sitting) -> list[bytes]:
        taken.append((sitting.role, sitting.identity))
        if len(taken) == 7:
            raise KeyboardInterrupt
        return take(sitting)

    monkeypatch.setattr(Sitting, "photographs", stopping)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "faces")
    make(tmp_path / "faces")
    interrupted = taken.pop(6)
    assert interrupted == ("verification", 1)
    assert len(taken) == len(set(taken)) == 3 + 2 + 20


def test_only_so_many_sittings_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: memory must not grow with the set."""
    started: list[int] = []

    def sittings() -> Iterator[Sitting]:
        for number in range(10_000):
            started.append(number)
            yield Sitting(0, "train", 0, range(1), SIZE)

    with studio.Studio(2) as processes:
        photographs = processes.photographs(sittings())
        for _ in range(3):
            next(photographs)
        photographs.close()
    assert len(started) < 20


def test_a_process_that_dies_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ProcessPoolExecutor.submit

    def dying(pool: ProcessPoolExecutor, *_: object) -> object:
        return submit(pool, os._exit, 1)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", dying)
    with pytest.raises(UserError, match="fewer --workers"):
        make(tmp_path / "faces", workers=2)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_with_75(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RecordWriter, "write", interrupted)
    arguments = ["noisebench", "data", "faces", str(tmp_path / "faces"), "--workers", "1", "--image-size", "32"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 75
    assert capsys.readouterr().err.endswith("noisebench: stopped; the same command goes on from here\n")


def test_another_seed_gives_other_people(faces: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", seed=1)
    assert not set(files_of(FaceSet.open(other))) & set(files_of(FaceSet.open(faces)))


def test_asking_for_more_leaves_the_first_unchanged(faces: Path, tmp_path: Path) -> None:
    few, many = FaceSet.open(faces), FaceSet.open(make(tmp_path / "many", identities=5, images=6))
    kept = [file for file, label, number in zip(files_of(many), many.labels, many.keys, strict=True)
            if label < 3 and (number - 1) % 6 < 4]  # fmt: skip
    assert kept == files_of(few)


@pytest.mark.parametrize(("folder", "role"), [(".", "train"), ("outliers", "outlier")])
def test_any_image_can_be_made_alone(faces: Path, folder: str, role: str) -> None:
    face_set = FaceSet.open(faces / folder)
    for identity in range(face_set.num_classes):
        key = int(face_set.keys[face_set.labels == identity][1])
        assert photograph(0, role, identity, 1, SIZE) == face_set.jpeg(key)


def test_no_photograph_is_in_two_parts(faces: Path) -> None:
    pairs = verification_bin.read(faces / "synth_unseen.bin")
    train, outliers = (set(files_of(FaceSet.open(faces / part))) for part in (".", "outliers"))
    assert len(train) == 12
    assert not train & outliers
    assert not (train | outliers) & set(pairs.jpegs)


def test_pairs_are_of_one_or_two_people_as_they_say_and_folds_share_nobody(faces: Path) -> None:
    pairs = verification_bin.read(faces / "synth_unseen.bin")
    person_of = {
        photograph(0, "verification", person, image, SIZE): person for person in range(20) for image in range(12)
    }
    people = np.array([person_of[file] for file in pairs.jpegs]).reshape(-1, 2)
    np.testing.assert_array_equal(people[:, 0] == people[:, 1], pairs.same)
    assert pairs.same.reshape(10, 2).sum(axis=1).tolist() == [1] * 10
    folds = [set(fold.ravel()) for fold in people.reshape(10, 4)]
    assert sum(map(len, folds)) == len(set.union(*folds))
    assert all(first != second for first, second in zip(pairs.jpegs[::2], pairs.jpegs[1::2], strict=True))


def test_photographs_of_one_person_are_more_alike_than_of_two() -> None:
    files = [[photograph(3, "train", person, image, 48) for image in range(2)] for person in range(24)]
    photos = np.array([[jpeg.decode(file) for file in person] for person in files]).astype(np.float64)
    within = np.abs(photos[:, 0] - photos[:, 1]).mean()
    across = np.abs(photos[:, 0] - np.roll(photos[:, 1], 1, axis=0)).mean()
    assert within < across


def test_the_contact_sheet_has_a_row_for_each_identity(faces: Path, tmp_path: Path) -> None:
    face_set = FaceSet.open(faces)
    contact_sheet(face_set, tmp_path / "sheet.png", rows=2, columns=3)
    sheet = jpeg.decode((tmp_path / "sheet.png").read_bytes())
    assert sheet.shape == (2 * SIZE, 3 * SIZE, 3)
    first_of_second = face_set.image(int(face_set.keys[face_set.labels == 1][0]))
    np.testing.assert_array_equal(sheet[SIZE:, :SIZE], first_of_second)


@pytest.mark.parametrize(
    "wrong",
    [
        {"identities": 1}, {"images": 1}, {"image_size": 8}, {"image_size": 5000}, {"pairs": 0}, {"pairs": 30},
        {"identities": 10**8},
    ],
    ids=str,
)  # fmt: skip
def test_a_number_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        make_faces(tmp_path / "faces", progress=False, **wrong)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(FileError, match="already exists"):
        make(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
