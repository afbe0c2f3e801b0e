from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex
from typer.testing import CliRunner

from datasets_tools.app import app
from datasets_tools.gallery import gallery
from datasets_tools.make_noise import make_manifest
from noisebench.analysis.figures import KIND_COLOURS
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.recipe import load_recipe
from tests.tiny import write_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("gallery") / "faces")


def made(recipe: str, faces: Path) -> tuple[Manifest, FaceSet, FaceSet]:
    base, outliers = FaceSet.open(faces), FaceSet.open(faces / "outliers")
    return make_manifest(load_recipe(recipe), base, outliers, seed=3), base, outliers


@pytest.mark.parametrize(("recipe", "columns"), [("clean", 4), ("closed30", 7), ("open20", 5), ("c20o20", 4)])
def test_every_image_is_framed_and_captioned_by_its_truth(faces: Path, recipe: str, columns: int) -> None:
    manifest, base, outliers = made(recipe, faces)
    rows = {}
    for row in range(len(manifest)):
        source = outliers if manifest.source[row] else base
        rows[source.image(int(manifest.source_index[row])).tobytes()] = row
    figure = gallery(manifest, base, outliers, num_labels=5, num_columns=columns)
    shown = []
    for axes in figure.axes:
        if not axes.images:
            continue
        row = rows[np.asarray(axes.images[0].get_array()).tobytes()]
        kind = KINDS[manifest.kind[row]]
        assert to_hex(axes.spines["left"].get_edgecolor()).upper() == KIND_COLOURS[kind]
        captions = {
            "clean": "",
            "closed": f"truly {manifest.true_label[row]}",
            "open": f"outsider {manifest.source_label[row]}",
        }
        assert axes.get_xlabel() == captions[kind]
        shown.append(row)
    assert len(shown) == len(set(shown)) > 5
    assert {KINDS[manifest.kind[row]] for row in shown} == {KINDS[code] for code in manifest.kind}
    labels = {text.get_text() for text in figure.texts}
    assert {f"label\n{manifest.label[row]}" for row in shown} <= labels


def test_nothing_is_drawn_over_anything_else(faces: Path) -> None:
    manifest, base, outliers = made("c20o20", faces)
    figure = gallery(manifest, base, outliers)
    boxes = [axes.get_position() for axes in figure.axes]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0 <= box.y0
        assert box.x1 <= 1 >= box.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_the_command(faces: Path, tmp_path: Path) -> None:
    made("c20o20", faces)[0].write(tmp_path / "m.parquet")
    out = tmp_path / "picture.png"
    command = ["gallery", str(tmp_path / "m.parquet"), "--data", str(faces), "--out", str(out), "--labels", "3"]
    assert CliRunner().invoke(app, command).output == f"wrote {out}\n"
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] > picture.shape[0] > 300
