"""How far runs are, from records, heartbeats and locks made by hand."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from noisebench.bench.lock import hold
from noisebench.bench.status import RunStatus, all_statuses, as_table, duration
from noisebench.training.heartbeat import Heartbeat
from tests.bench.records import done_record

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "status.schema.json"
CONFIG = {"training": {"epochs": 4, "batch_size": 8}}


def make_run(results: Path, method: str, **changes: Any) -> Path:
    folder = results / "runs" / "synth" / "closed30" / method / "seed0-aaaaaaaa"
    done_record(method=method, config=CONFIG, **changes).write(folder)
    return folder


def beat(folder: Path, step: int) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    Heartbeat(
        step=step, steps=40, epoch=step // 10, epochs=4, images_per_second=16.0, phase="train",
        host="node7", pid=12, updated=now,
    ).write(folder)  # fmt: skip


def test_every_state_is_told_apart(tmp_path: Path) -> None:
    make_run(tmp_path, "a_done")
    make_run(tmp_path, "b_planned", status="planned")
    make_run(tmp_path, "c_failed", status="failed", reason="the loss is\nnot finite")
    stopped = make_run(tmp_path, "d_stopped", status="interrupted", reason="stopped")
    gone = make_run(tmp_path, "e_gone", status="running")
    running = make_run(tmp_path, "f_running", status="running")
    again = make_run(tmp_path, "g_again", status="failed", reason="before")
    for folder in (stopped, gone, running):
        beat(folder, 10)
    with hold(running), hold(again):
        found = {run.method: run for run in all_statuses(tmp_path)}
        lines = [line for _, line in as_table(all_statuses(tmp_path))]
    assert {name: run.status for name, run in found.items()} == {
        "a_done": "done",
        "b_planned": "planned",
        "c_failed": "failed",
        "d_stopped": "interrupted",
        "e_gone": "interrupted",
        "f_running": "running",
        "g_again": "running",
    }
    assert found["e_gone"].reason == "its process is gone"
    assert (found["e_gone"].host, found["e_gone"].eta_seconds) == ("node7", None)
    assert found["f_running"].progress == pytest.approx(10 / 40)
    assert found["f_running"].eta_seconds == pytest.approx((40 - 10) * 8 / 16.0)
    assert (found["f_running"].host, found["f_running"].pid) == (os.uname().nodename, os.getpid())
    assert found["g_again"].reason is None
    assert "25 %, epoch 2/4" in lines[6]
    assert "15 s" in lines[6]
    assert lines[3].endswith("the loss is not finite")
    assert lines[-1] == "7 runs: 1 planned, 2 running, 2 interrupted, 1 failed, 1 done"


def test_the_documented_schema_is_that_of_the_json(tmp_path: Path) -> None:
    adapter = TypeAdapter(list[RunStatus])
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema == adapter.json_schema()
    make_run(tmp_path, "arcface")
    jsonschema.validate(json.loads(adapter.dump_json(all_statuses(tmp_path))), schema)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3599, "1 h 00 min"), (11_100, "3 h 05 min"), (187_200, "2 d 04 h")],
)
def test_spans_of_time_are_told_in_two_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
