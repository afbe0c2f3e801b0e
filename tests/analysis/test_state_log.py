"""The state log: numbers come back to the bit, and a resumed run loses and doubles none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from noisebench.analysis.state_log import StateLog, read_state, thinned
from noisebench.errors import FileError


def values(step: int) -> dict[str, float]:
    return {"phi": math.sqrt(step), "m1": -0.15 * 0.99**step}


def write(folder: Path, steps: range, flush_every: int = 4) -> None:
    log = StateLog(folder)
    log.truncate(steps.start)
    for step in steps:
        log.append(step, values(step))
        if (step + 1) % flush_every == 0:
            log.flush()


def test_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    write(tmp_path, range(12))
    frame = read_state(tmp_path)
    assert frame["step"].tolist() == list(range(12))
    assert frame["phi"].tolist() == [values(step)["phi"] for step in range(12)]
    assert frame["m1"].tolist() == [values(step)["m1"] for step in range(12)]


def test_a_resumed_run_leaves_the_same_file(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    write(whole, range(16))
    write(resumed, range(11))  # killed: 8 steps were flushed, the checkpoint is of step 4
    assert len(read_state(resumed)) == 8
    write(resumed, range(4, 16))
    assert (resumed / "state.csv").read_bytes() == (whole / "state.csv").read_bytes()


def test_a_line_cut_short_is_left_out_and_goes_on_resuming(tmp_path: Path) -> None:
    write(tmp_path, range(8))
    path = tmp_path / "state.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + b"8,2.82")
    assert len(read_state(tmp_path)) == 8
    StateLog(tmp_path).truncate(9)
    assert path.read_bytes() == whole


def test_begun_anew_a_method_may_follow_other_numbers(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    (tmp_path / "state.csv").unlink()
    log = StateLog(tmp_path)
    log.append(0, {"t": math.nan})
    log.flush()
    assert read_state(tmp_path).isna()["t"].tolist() == [True]


@pytest.mark.parametrize(("step", "names"), [(3, ("phi", "m1")), (9, ("phi",)), (9, ("m1", "phi"))])
def test_steps_ascend_and_names_stay(tmp_path: Path, step: int, names: tuple[str, ...]) -> None:
    write(tmp_path, range(4))
    log = StateLog(tmp_path)
    log.truncate(4)
    with pytest.raises(ValueError, match=f"step {step} with"):
        log.append(step, dict.fromkeys(names, 0.0))


def test_names_are_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a,b"):
        StateLog(tmp_path).append(0, {"a,b": 1.0})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("step,phi\n0,1\n1,2,3\n", "damaged state log"),
        ("step,phi\n0,x\n", "damaged state log"),
        ("phi\n1\n", "damaged state log"),
        ("", "damaged state log"),
        ("step,phi\n1,1\n1,2\n", "its steps do not ascend"),
    ],
)
def test_damage_is_said(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "state.csv").write_text(content)
    with pytest.raises(FileError, match=said):
        read_state(tmp_path)


def test_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no state log here"):
        read_state(tmp_path)


@pytest.mark.parametrize(("points", "length"), [(100, 1), (12, 1), (11, 2), (5, 3), (1, 12)])
def test_thinned_to_means_over_runs_of_steps(tmp_path: Path, points: int, length: int) -> None:
    write(tmp_path, range(12))
    frame = thinned(read_state(tmp_path), points)
    starts = range(0, 12, length)
    assert len(frame) <= points
    assert frame["step"].tolist() == list(starts)
    expected = [np.mean([values(step)["phi"] for step in range(s, min(s + length, 12))]) for s in starts]
    assert frame["phi"].tolist() == pytest.approx(expected)
