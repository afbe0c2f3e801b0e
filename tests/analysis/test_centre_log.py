"""Drift of class centres, with rotations by known angles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from noisebench.analysis.centre_log import CentreLog, read_centres
from noisebench.errors import FileError


def centres_at(*angles: float) -> NDArray[np.float64]:
    """Centres in the plane of the first two of eight dimensions, of different lengths."""
    centres = np.zeros((len(angles), 8))
    for row, angle in enumerate(angles):
        centres[row, :2] = (row + 0.5) * np.array([np.cos(angle), np.sin(angle)])
    return centres


def test_angles_to_the_epoch_before_and_to_the_first(tmp_path: Path) -> None:
    log = CentreLog(tmp_path)
    log.append(0, centres_at(0.0, 1.0))
    log.append(1, centres_at(0.2, 1.5))
    path = log.append(2, centres_at(0.1, 3.0))
    assert path == tmp_path / "centres" / "epoch=002.parquet"
    frame = read_centres(tmp_path)
    assert frame["epoch"].tolist() == [0, 0, 1, 1, 2, 2]
    assert frame["label"].tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(frame["angle_previous"], [np.nan, np.nan, 0.2, 0.5, 0.1, 1.5], atol=1e-6)
    np.testing.assert_allclose(frame["angle_first"], [0, 0, 0.2, 0.5, 0.1, 2.0], atol=1e-6)


def test_small_angles_are_not_lost_in_float32(tmp_path: Path) -> None:
    log = CentreLog(tmp_path)
    log.append(0, centres_at(0.3).astype(np.float32))
    log.append(1, centres_at(0.3 + 1e-5).astype(np.float32))
    np.testing.assert_allclose(read_centres(tmp_path)["angle_previous"].iloc[-1], 1e-5, rtol=0.02)


def test_a_resumed_run_goes_on_and_may_repeat_some_epochs(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    epochs = [centres_at(0.1 * epoch**2, 0.3 * epoch) for epoch in range(6)]
    log = CentreLog(whole)
    for epoch, centres in enumerate(epochs):
        log.append(epoch, centres)
    for epoch in (0, 1, 2, 3, 2, 3, 4, 5):  # killed after the log of epoch 3; the checkpoint after epoch 1 was sound
        CentreLog(resumed).append(epoch, epochs[epoch])
        CentreLog(resumed).forget(before=min(epoch, 2))
    assert read_centres(resumed).equals(read_centres(whole))


def test_a_run_begun_anew_forgets_the_old_one(tmp_path: Path) -> None:
    for epoch, angle in enumerate([0.0, 0.5, 1.0]):
        CentreLog(tmp_path).append(epoch, centres_at(angle))
    for epoch, angle in enumerate([2.0, 2.2, 2.3]):
        CentreLog(tmp_path).append(epoch, centres_at(angle))
    np.testing.assert_allclose(read_centres(tmp_path)["angle_first"], [0, 0.2, 0.3], atol=1e-6)


def test_centres_that_no_resumed_run_needs_are_forgotten(tmp_path: Path) -> None:
    log = CentreLog(tmp_path)
    for epoch in range(6):
        log.append(epoch, centres_at(0.1 * epoch))
    log.forget(before=4)
    kept = sorted(file.name for file in (tmp_path / "centres" / "reference").iterdir())
    assert kept == ["epoch=000.npy", "epoch=003.npy", "epoch=004.npy", "epoch=005.npy"]


def test_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no centre log here"):
        read_centres(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    CentreLog(tmp_path).append(0, centres_at(0.1)).write_bytes(b"PAR1")
    with pytest.raises(FileError, match=r"epoch=000\.parquet: damaged centre log"):
        read_centres(tmp_path)


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected \[C, D\]"):
        CentreLog(tmp_path).append(0, np.ones((2, 3, 4)))
