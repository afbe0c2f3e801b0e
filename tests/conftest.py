"""Fixtures that tests of several parts share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: each, and whatever it starts, keeps to one
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("untimed", deadline=None)  # time is for benchmarks: no test fails on a busy machine
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Let commands that tests interrupt hear of it: a job in a shell's background, and what it starts, would not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files in the order of their names, so that the longest does not come last; within one chance decides."""
    items.sort(key=lambda item: item.path)


@pytest.fixture(scope="session")
def lfw() -> Path:
    """The folder of the real LFW set: train.rec, lfw.bin and outliers/."""
    folder = Path(os.environ.get("NOISEBENCH_LFW", REPOSITORY.parent / "shared" / "data" / "lfw"))
    if not (folder / "train.rec").is_file():
        pytest.skip(f"the LFW set is not at {folder}; NOISEBENCH_LFW can name its folder")
    return folder
