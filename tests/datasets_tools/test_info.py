from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from datasets_tools.app import app
from datasets_tools.info import describe
from datasets_tools.make_noise import make_manifest
from datasets_tools.synthetic import photograph
from noisebench.errors import FileError
from noisebench.files import sha256_of
from noisebench.formats.face_set import FaceSet
from noisebench.noise.recipe import load_recipe
from tests.tiny import IDENTITIES, IMAGES, SIZE, write_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_faces(tmp_path_factory.mktemp("info") / "faces")
    base, outliers = FaceSet.open(folder), FaceSet.open(folder / "outliers")
    make_manifest(load_recipe("c20o20"), base, outliers, seed=3).write(folder / "m.parquet")
    return folder


def test_a_set(faces: Path) -> None:
    facts = describe(faces).facts
    assert facts == {
        "images": IDENTITIES * IMAGES,
        "identities": IDENTITIES,
        "identities_without_images": 0,
        "images_per_identity": {"min": IMAGES, "median": IMAGES, "max": IMAGES},
        "image_size": [SIZE, SIZE],
        "bytes": (faces / "train.rec").stat().st_size,
        "outlier_set": True,
        "verification_sets": ["unseen"],
        "fingerprint": FaceSet.open(faces).fingerprint,
    }


def test_a_folder_of_images_and_sets_as_one(faces: Path, tmp_path: Path) -> None:
    for person, images in (("a", 2), ("b", 3)):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(images):
            jpeg = photograph(0, "train", number, 0, SIZE)
            (tmp_path / "people" / person / f"{number}.jpg").write_bytes(jpeg)
    folder = describe(tmp_path / "people")
    assert folder.kind == "folder of images"
    assert (folder.facts["images"], folder.facts["identities"]) == (5, 2)
    joined = describe(Path(f"{faces},{tmp_path / 'people'}"))
    assert (joined.facts["images"], joined.facts["identities"]) == (IDENTITIES * IMAGES + 5, IDENTITIES + 2)


def test_its_files(faces: Path) -> None:
    records = IDENTITIES * IMAGES + IDENTITIES + 1
    rec, idx = describe(faces / "train.rec"), describe(faces / "train.idx")
    for info in (rec, idx):
        assert info.facts["records"] == records
        assert info.facts["keys"] == {"min": 0, "max": records - 1}
        assert info.facts["bytes"] == info.path.stat().st_size
    assert rec.facts["with_an_image"] == IDENTITIES * IMAGES


def test_a_manifest(faces: Path) -> None:
    info = describe(faces / "m.parquet")
    assert info.kind == "noise manifest"
    assert [info.facts[f"{kind}_images"] for kind in ("clean", "closed", "open")] == [22, 7, 7]
    assert info.facts["fingerprints"]["base"] == FaceSet.open(faces).fingerprint
    assert "recipe" in str(info)


def test_a_verification_set(faces: Path) -> None:
    info = describe(faces / "unseen.bin")
    assert (info.facts["pairs"], info.facts["of_one_identity"]) == (20, 10)
    assert info.facts["image_size"] == [SIZE, SIZE]
    assert info.facts["sha256"] == sha256_of(faces / "unseen.bin")


def test_what_is_none_of_these(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    for path, problem in (("nothing", "no such file"), ("notes.txt", "expected a data set's folder or a file")):
        with pytest.raises(FileError, match=problem):
            describe(tmp_path / path)
    np.save(tmp_path / "m.npy", np.zeros(3))
    (tmp_path / "m.npy").rename(tmp_path / "m.parquet")
    with pytest.raises(FileError, match="no noise manifest"):
        describe(tmp_path / "m.parquet")


@pytest.mark.parametrize("name", ["", "train.rec", "train.idx", "m.parquet", "unseen.bin"])
def test_the_command(faces: Path, name: str) -> None:
    text = CliRunner().invoke(app, ["info", str(faces / name)])
    assert text.exit_code == 0
    assert text.output.startswith(f"{faces / name}: ")
    content = json.loads(CliRunner().invoke(app, ["info", str(faces / name), "--json"]).output)
    assert content == describe(faces / name).to_json()
