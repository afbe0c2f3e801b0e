"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny import write_faces, write_suite

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set ``faces`` and the suite ``tiny.yaml``."""
    folder = tmp_path_factory.mktemp("tiny")
    write_faces(folder / "faces")
    write_suite(folder)
    return folder


@pytest.fixture
def noisebench(tmp_path: Path) -> Command:
    """Run a command line as its user does, in a folder of its own."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "noisebench", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=env)

    return run
