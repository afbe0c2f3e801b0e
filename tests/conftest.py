"""Fixtures that tests of several parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def lfw() -> Path:
    """The folder of the real LFW set: train.rec, lfw.bin and outliers/."""
    folder = Path(os.environ.get("NOISEBENCH_LFW", REPOSITORY.parent / "shared" / "data" / "lfw"))
    if not (folder / "train.rec").is_file():
        pytest.skip(f"the LFW set is not at {folder}; NOISEBENCH_LFW can name its folder")
    return folder
