"""A data set is RecordIO, a folder of images, or several joined: whoever reads it sees no difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets_tools.make_noise import make_manifest
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import FileError, UserError
from noisebench.formats import data_source
from noisebench.formats.data_source import open_data
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.formats.image_folder import ImageFolder
from noisebench.formats.joined_sets import KEYS_A_SET
from noisebench.formats.jpeg import encode
from noisebench.noise.recipe import load_recipe

SIZES = {"bob": 3, "ann": 4, "zoe": 2}


def photo(seed: int, size: int = 20) -> bytes:
    return encode(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def write_folder(folder: Path, size: int = 20) -> Path:
    for name, number in SIZES.items():
        (folder / name).mkdir(parents=True)
        for image in range(number):
            (folder / name / f"{image}.jpg").write_bytes(photo(image + 10 * ord(name[0]), size))
    return folder


def write_records(folder: Path, seed: int) -> Path:
    folder.mkdir()
    write_face_set(folder, [(photo(seed + image), image // 3) for image in range(9)], 4, (20, 20))
    return folder


def test_a_folder_of_images_is_the_set_that_its_import_would_be(tmp_path: Path) -> None:
    faces = open_data(write_folder(tmp_path / "faces"))
    names = sorted(SIZES)
    files = [tmp_path / "faces" / name / f"{image}.jpg" for name in names for image in range(SIZES[name])]
    assert isinstance(faces, ImageFolder)
    assert faces.num_classes == 3
    assert faces.image_size == (20, 20)
    np.testing.assert_array_equal(faces.keys, np.arange(9))
    np.testing.assert_array_equal(faces.labels, [0] * 4 + [1] * 3 + [2] * 2)
    assert [bytes(faces.jpeg(key)) for key in faces.keys] == [file.read_bytes() for file in files]
    faces.check_labels()


def test_the_fingerprint_of_a_folder_tells_names_and_sizes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces")
    first = open_data(folder).fingerprint
    assert open_data(folder).fingerprint == first
    file = folder / "ann" / "1.jpg"
    file.write_bytes(file.read_bytes() + b"\0")
    changed = open_data(folder).fingerprint
    file.rename(folder / "ann" / "11.jpg")
    assert len({first, changed, open_data(folder).fingerprint}) == 3


def test_joined_sets_keep_identities_apart(tmp_path: Path) -> None:
    parts = [write_records(tmp_path / "a", 0), write_folder(tmp_path / "b"), write_records(tmp_path / "c", 50)]
    source = Path(",".join(map(str, parts)))
    joined, sets = open_data(source), [open_data(part) for part in parts]
    assert joined.num_classes == 4 + 3 + 4
    assert len(set(joined.keys.tolist())) == len(joined.keys) == 27
    first_label, place = 0, 0
    for number, one in enumerate(sets):
        for key, label in zip(one.keys.tolist(), one.labels.tolist(), strict=True):
            assert joined.keys[place] == key + number * KEYS_A_SET
            assert joined.labels[place] == label + first_label
            np.testing.assert_array_equal(joined.image(int(joined.keys[place])), one.image(key))
            place += 1
        first_label += one.num_classes
    joined.check_labels()
    out = np.empty((27, 20, 20, 3), dtype=np.uint8)
    joined.read_images(joined.keys.tolist(), out, threads=2)
    np.testing.assert_array_equal(out[9], joined.image(int(joined.keys[9])))


def test_the_fingerprint_of_joined_sets_tells_each_and_their_order(tmp_path: Path) -> None:
    a, b, c = (write_records(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 9), ("c", 20)))
    found = {open_data(Path(f"{first},{second}")).fingerprint for first, second in ((a, b), (b, a), (a, c))}
    assert len(found) == 3


def test_noise_is_made_and_read_for_them_as_for_any_set(tmp_path: Path) -> None:
    source = Path(f"{write_records(tmp_path / 'a', 0)},{write_folder(tmp_path / 'b')}")
    faces = open_data(source)
    manifest = make_manifest(load_recipe("closed30"), faces, None, seed=1)
    noisy = NoisyFaces(faces, None, manifest)
    rows = np.arange(len(noisy))
    images = noisy.images(rows, threads=1)
    for row in rows:
        np.testing.assert_array_equal(images[row], faces.image(int(faces.keys[row])))
    assert manifest.num_train_classes == 7


def test_the_same_data_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_records(tmp_path / "a", 0)
    write_folder(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    whole = data_source.absolute(Path("a,b"))
    monkeypatch.chdir("/")
    assert len(open_data(whole).keys) == 18
    assert data_source.name(whole) == "a+b"


def test_a_comma_in_the_name_of_a_folder_joins_nothing(tmp_path: Path) -> None:
    assert isinstance(open_data(write_records(tmp_path / "a,b", 0)), FaceSet)


def test_mistakes_are_one_line_that_names_the_file(tmp_path: Path) -> None:
    records, images = write_records(tmp_path / "a", 0), write_folder(tmp_path / "b")
    small = write_folder(tmp_path / "small", size=16)
    (tmp_path / "empty").mkdir()
    strange = write_folder(tmp_path / "strange")
    (strange / "ann" / "2.bmp").write_bytes(b"BM")
    cut = write_folder(tmp_path / "cut")
    (cut / "ann" / "0.jpg").write_bytes(b"\xff\xd8\xff")
    for source, problem in {
        f"{records},{records}": "is joined with itself",
        f"{records},{small}": "16x16 pixels cannot be joined with those of .*, 20x20",
        f"{records},{tmp_path}/missing": "missing: no such folder",
        f"{tmp_path}/empty": "train.rec: no such file .*a data set is a folder",
        f"{strange}": r"ann/2.bmp: neither JPEG nor PNG .*noisebench data import",
        f"{cut}": r"ann/0.jpg: the image is unusable",
    }.items():
        with pytest.raises(FileError, match=problem) as error:
            open_data(Path(source))
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="reads RecordIO sets only"):
        open_data(images, reader="mxnet")
    with pytest.raises(FileError, match="has no image 9"):
        open_data(images).jpeg(9)
    with pytest.raises(FileError, match="2 sets are joined"):
        open_data(Path(f"{records},{images}")).jpeg(2 * KEYS_A_SET)
