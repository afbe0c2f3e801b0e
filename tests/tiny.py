"""A data set and a suite small enough to train in a second: a few synthetic faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets_tools.synthetic import photograph
from noisebench.formats import verification_bin
from noisebench.formats.face_set import write_face_set

IDENTITIES = 6
IMAGES = 6
SIZE = 48

SUITE = """
name: tiny
description: A few steps on a few faces.
backbone: {name: small_ir, embedding_size: 16}
training:
  epochs: 3
  batch_size: 12
  schedule: {kind: poly, learning_rate: 0.05, power: 1.0}
head: {scale: 16.0}
methods: {softmax: {}, arcface: {}}
"""


def write_faces(folder: Path, seed: int = 0) -> Path:
    """A train set, an outlier set and a verification set of 20 pairs, as `make_faces` lays them out."""
    for name, role, identities in (("", "train", IDENTITIES), ("outliers", "outlier", 4)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        images = [
            (_photo(seed, role, person, image), person) for person in range(identities) for image in range(IMAGES)
        ]
        write_face_set(folder / name, images, identities, (SIZE, SIZE))
    pairs = [
        _photo(seed, "verification", (pair // 2 + side * (pair % 2)) % 5, pair + side)
        for pair in range(20)
        for side in (0, 1)
    ]
    verification_bin.write(folder / "unseen.bin", pairs, np.arange(20) % 2 == 0)
    return folder


def write_suite(folder: Path) -> Path:
    """The suite's YAML."""
    path = folder / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def _photo(seed: int, role: str, identity: int, image: int) -> bytes:
    return photograph(seed, role, identity, image, SIZE)
