from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasets_tools import export
from datasets_tools.app import app
from datasets_tools.make_noise import make_manifest
from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.recipe import load_recipe


@pytest.fixture
def base(tmp_path: Path) -> FaceSet:
    write_face_set(tmp_path / "base", ((b"base %d" % number, number // 5) for number in range(60)), 12, (8, 8))
    return FaceSet.open(tmp_path / "base")


@pytest.fixture
def outliers(tmp_path: Path) -> FaceSet:
    write_face_set(tmp_path / "outliers", ((b"outlier %d" % number, number // 3) for number in range(30)), 11, (8, 8))
    return FaceSet.open(tmp_path / "outliers")


@pytest.fixture
def manifest(base: FaceSet, outliers: FaceSet) -> Manifest:
    return make_manifest(load_recipe("c20o20"), base, outliers, seed=3)


def image_bytes(manifest: Manifest, row: int, base: FaceSet, outliers: FaceSet) -> bytes:
    return bytes((base, outliers)[manifest.source[row]].jpeg(int(manifest.source_index[row])))


def test_an_image_folder_sorts_as_the_labels_do(
    tmp_path: Path, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    export.export_images(manifest, base, outliers, tmp_path / "out")
    folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert [int(name) for name in folders] == list(range(12))
    files = {path: path.read_bytes() for path in (tmp_path / "out").glob("*/*")}
    assert files == {
        tmp_path / "out" / folders[manifest.label[row]] / f"{manifest.index[row]}.jpg": image_bytes(
            manifest, row, base, outliers
        )
        for row in range(len(manifest))
    }
    assert Manifest.read(tmp_path / "out" / "manifest.parquet").checksum == manifest.checksum


def test_an_interrupted_image_folder_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    first: list[str] = []
    written: list[str] = []
    real = Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        if len(written) == 20 and not first:
            real(path, data[:2])
            first.extend(written)
            written.clear()
            raise KeyboardInterrupt
        written.append(path.name)
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(KeyboardInterrupt):
            export.export_images(manifest, base, outliers, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        export.export_images(manifest, base, outliers, tmp_path / "out")
    assert sorted([*first, *written]) == sorted(f"{key}.jpg" for key in manifest.index.tolist())
    export.export_images(manifest, base, outliers, tmp_path / "whole")
    names = [path.relative_to(tmp_path / "whole") for path in sorted((tmp_path / "whole").rglob("*")) if path.is_file()]
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_lists_name_images_of_the_plain_image_folders(
    tmp_path: Path, manifest: Manifest, base: FaceSet, outliers: FaceSet
) -> None:
    clean = load_recipe("clean")
    root = tmp_path / "images"
    export.export_images(make_manifest(clean, base, None, 0), base, None, root)
    export.export_images(make_manifest(clean, outliers, None, 0), outliers, None, root / "outliers")
    export.export_boundaryface(manifest, tmp_path / "lists")

    def lines(name: str) -> list[tuple[bytes, int]]:
        pairs = [line.split("  ") for line in (tmp_path / "lists" / name).read_text().splitlines()]
        return [((root / path).read_bytes(), int(label)) for path, label in pairs]

    rows = range(len(manifest))
    images = [image_bytes(manifest, row, base, outliers) for row in rows]
    kinds = [KINDS[code] for code in manifest.kind]
    assert lines("data_file.txt") == [(images[row], manifest.label[row]) for row in rows]
    assert lines("noise_flip.txt") == [(images[row], base.labels[row]) for row in rows if kinds[row] == "closed"]
    assert lines("noise_outlier.txt") == [(images[row], base.labels[row]) for row in rows if kinds[row] == "open"]
    assert len(lines("noise_outlier.txt")) == len(lines("noise_flip.txt")) == 12


def test_lst_and_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    monkeypatch.setattr(export, "_ROWS_AT_ONCE", 7)
    export.export_lst(manifest, tmp_path / "train.lst")
    rows = [line.split("\t") for line in (tmp_path / "train.lst").read_text().splitlines()]
    assert [int(row[0]) for row in rows] == manifest.index.tolist()
    assert [int(row[1]) for row in rows] == manifest.label.tolist()
    assert [row[2].startswith("outliers/") for row in rows] == (manifest.source == 1).tolist()
    export.export_csv(manifest, tmp_path / "m.csv")
    with (tmp_path / "m.csv").open() as stream:
        table = list(csv.DictReader(stream))
    for name, column in manifest.columns().items():
        expected = [KINDS[code] for code in column] if name == "kind" else [str(value) for value in column]
        assert [row[name] for row in table] == expected, name


def test_noise_by_batch_is_no_list(tmp_path: Path, base: FaceSet, outliers: FaceSet) -> None:
    manifest = make_manifest(load_recipe("batch15o05"), base, outliers, seed=0)
    for write in (export.export_boundaryface, export.export_lst):
        with pytest.raises(UserError, match="drawn anew for every batch"):
            write(manifest, tmp_path / "out")


def test_the_command(tmp_path: Path, manifest: Manifest, base: FaceSet, outliers: FaceSet) -> None:
    manifest.write(tmp_path / "m.parquet")
    out, file = tmp_path / "out", str(tmp_path / "m.parquet")

    def outcome(source: str, form: str, *more: str) -> object:
        result = CliRunner().invoke(app, ["export", source, "--form", form, "--out", str(out / form), *more])
        return result.exception if result.exit_code else result.output

    assert outcome(file, "lst") == f"wrote {out}/lst: 60 images of 12 classes\n"
    assert outcome(str(base.folder), "images") == f"wrote {out}/images: 60 images of 12 classes\n"
    assert len(list((out / "images").rglob("*.jpg"))) == 60
    assert isinstance(outcome(str(base.folder), "images"), FileError)  # there already
    (out / "images").rename(out / "elsewhere")
    missing = outcome(file, "images")
    assert isinstance(missing, UserError)
    assert "name it with --data" in str(missing)
