"""What a run says of itself while it goes on: a heartbeat for others to read, and events without gaps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from noisebench.training.heartbeat import PROGRESS_FILE, Heartbeat
from noisebench.training.progress import Progress


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert Heartbeat.read(tmp_path) is None
    with Progress(tmp_path, epochs=3, steps_per_epoch=4, batch_size=5, visible=True) as progress:
        started = Heartbeat.read(tmp_path)
        assert started is not None
        assert (started.phase, started.step, started.steps) == ("start", 0, 12)
        progress.begin(5, [])
        progress.advance()
        progress.enter("checkpoint")
        found = Heartbeat.read(tmp_path)
    assert found is not None
    assert (found.phase, found.step, found.epoch, found.epochs, found.pid) == ("checkpoint", 6, 1, 3, os.getpid())
    assert found.images_per_second > 0
    assert 0 <= found.age_seconds < 60


def test_a_step_is_told_of_only_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Progress(tmp_path, epochs=1, steps_per_epoch=100, batch_size=5, visible=True) as progress:
        progress.begin(0, [])
        before = (tmp_path / PROGRESS_FILE).read_bytes()
        progress.advance()
        assert (tmp_path / PROGRESS_FILE).read_bytes() == before
        monkeypatch.setattr("noisebench.training.progress.SECONDS_BETWEEN_BEATS", 0.0)
        progress.advance()
        found = Heartbeat.read(tmp_path)
        assert found is not None
        assert (found.step, found.phase) == (2, "train")


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    with Progress(tmp_path, epochs=1, steps_per_epoch=2, batch_size=5, visible=False) as progress:
        progress.begin(0, [])
        progress.advance()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"step": -1}'])
def test_one_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PROGRESS_FILE).write_bytes(content)
    assert Heartbeat.read(tmp_path) is None
