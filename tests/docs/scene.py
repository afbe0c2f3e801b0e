"""What the commands of the documentation find where they are typed: small sets under the names that the pages use."""

from __future__ import annotations

import glob
import re
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from noisebench.bench.cell import Cell
from noisebench.bench.execute import execute
from noisebench.bench.launch import Ended
from noisebench.training.distributed import join
from noisebench.training.stopping import StopRequest
from tests.tiny import IDENTITIES, write_faces

SUITE = """
name: {name}
description: Two epochs on a few faces.
{faces}backbone: {{name: small_ir, embedding_size: 16}}
training:
  epochs: 2
  batch_size: 16
  schedule: {{kind: poly, learning_rate: 0.05, power: 1.0}}
head: {{scale: 16.0}}
methods: {{arcface: {{}}, boundaryf1: {{}}}}
"""
EMBEDDED = "faces: {identities: 6, images: 6, seed: 0}\n"
HARD = """
name: hard20
description: A fifth of the labels flipped to one of two similar identities.
closed: {rate: 0.2, targets: hard, neighbours: 2}
"""
SUITES = {"synth": EMBEDDED, "ms1mv2-r50": "", "webface-r50": "", "small": ""}
TEST_SETS = ("lfw", "cfp_fp", "agedb_30")

RUN = "results/runs/synth/closed30/boundaryf1/seed0-*"
STAND_INS = (
    (r"/data/(.*)", r"data/\1"),
    (r"RUN|results/runs/.*seed0-(\.\.\.|1a2b3c4d)|.*\.ckpt|backbone\.pth", RUN),
    (r"RUN_ON_CLEAN_LABELS", "results/runs/synth/clean/arcface/seed0-*"),
    (r"DIR", "data/faces"),
    (r"NEW", "data/new"),
    (r"FOLDER", "wrong"),
    (r"RULE", "angle"),
    (r"75deg", "120deg"),  # after two epochs nothing is nearer
    (r"small\.yaml", "recipes/suites/small.yaml"),
)
"""Words of the pages, and what is typed in their place."""

SMALL = {
    ("data", "faces"): ["--identities", "6", "--images", "6", "--pairs", "20", "--image-size", "48", "--workers", "1"],
    ("clean", "--suite"): ["--threshold", "120deg"],
}
"""Options that the commands beginning so are given behind their own, which then count."""


def typed(words: list[str]) -> list[str]:
    """What is typed for the arguments of noisebench: stand-ins, and the newest of the names that stars match."""
    found: list[str] = []
    for word in words:
        for pattern, stand_in in STAND_INS:
            if re.fullmatch(pattern, word):
                word = re.sub(pattern, stand_in, word)
                break
        matches = [Path(match) for match in glob.glob(word)] if "*" in word else []  # noqa: PTH207 - as a shell does
        found.append(str(max(matches, key=lambda match: match.stat().st_mtime)) if matches else word)
    more = next((options for start, options in SMALL.items() if tuple(found[: len(start)]) == start), [])
    return [*found, *more]


def build(folder: Path) -> Path:
    """Lay down data, suites and single files."""
    faces = write_faces(folder / "data" / "faces")
    pairs = (faces / "unseen.bin").rename(faces / "lfw.bin")
    for name in TEST_SETS[1:]:
        shutil.copy(pairs, faces / f"{name}.bin")
    shutil.copy(pairs, folder)
    shutil.copytree(faces / "outliers", folder / "data" / "vgg2")
    for name in ("ms1mv2", "ms1m"):
        shutil.copytree(faces, folder / "data" / name, ignore=shutil.ignore_patterns("outliers"))
    shutil.copytree(faces, folder / "data" / "faces-6x6-seed0")
    suites = folder / "recipes" / "suites"
    suites.mkdir(parents=True)
    for name, text in SUITES.items():
        (suites / f"{name}.yaml").write_text(SUITE.format(name=name, faces=text), encoding="utf-8")
    (folder / "recipes" / "noise").mkdir()
    (folder / "recipes" / "noise" / "hard20.yaml").write_text(HARD, encoding="utf-8")
    _single_files(folder)
    return folder


def train_here(folder: Path, *_: Any, **__: Any) -> Ended:
    """Run a cell in this process, in the place of `noisebench.bench.launch.launch`: loading torch takes longer."""
    with join("cpu", timeout_minutes=1) as process:
        execute(Cell.read(folder), process, StopRequest())
    return Ended(0, peak_memory=1 << 20)


def save_blank(figure: Figure, file: Path | BytesIO, **_: Any) -> None:
    """Save a blank picture, in the place of `matplotlib.figure.Figure.savefig`: drawing takes most of the time."""
    Image.new("RGB", (8, 8)).save(file, format="PNG")


def _single_files(folder: Path) -> None:
    (folder / "corrected.csv").write_text("key,label\n1,0\n2,1\n3,-1\n", encoding="utf-8")
    np.save(folder / "ms1m.npy", np.eye(IDENTITIES, 8, dtype=np.float32))
    np.save(folder / "vgg2.npy", np.eye(4, 8, k=4, dtype=np.float32))
    (folder / "faces").mkdir()
    picture = np.full((48, 48, 3), 128, np.uint8)
    for name in ("a.jpg", "b.jpg", "c.jpg", "faces/one.jpg", "faces/two.jpg"):
        assert cv2.imwrite(str(folder / name), picture)
