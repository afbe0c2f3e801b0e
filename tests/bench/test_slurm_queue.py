"""What squeue tells, without Slurm: a stand-in of that name prints it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from noisebench.bench import slurm
from noisebench.bench.cell import Cell
from noisebench.bench.slurm import wait_for
from noisebench.bench.slurm_queue import JOB_FILE, NoAnswerError, QueuedJob, SubmittedJob, queue
from noisebench.exit_codes import ExitCode
from tests.analysis.runs import record


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "squeue"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_reason_may_hold_the_separator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "printf '7|PENDING||(Nodes|down)\\n8|RUNNING|node3|None\\n'")
    assert queue() == {"7": QueuedJob("PENDING", "", "(Nodes|down)"), "8": QueuedJob("RUNNING", "node3", "None")}
    assert [str(job) for job in queue().values()] == ["PENDING: (Nodes|down)", "RUNNING on node3"]


def test_without_slurm_there_is_no_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue() == {}


def test_a_queue_that_is_not_told_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(NoAnswerError, match="Unable to contact slurm controller"):
        queue()


def test_a_controller_that_does_not_answer_for_once_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """squeue fails, then tells the job, then that there is none; the job ends before the last."""
    script = (
        f"""cd {tmp_path}; echo >> calls; case $(wc -l < calls) in 1) exit 1;; 2) echo '7|RUNNING|node3|None';; esac"""
    )
    stand_in(tmp_path, monkeypatch, script)
    monkeypatch.setattr(slurm, "_POLL", 0)
    job = SubmittedJob(id="7", submitted="now", log=tmp_path / "log")
    (tmp_path / JOB_FILE).write_text(job.model_dump_json(), encoding="utf-8")
    done = record(status="done")
    made: Any = SimpleNamespace(
        folder=tmp_path, finished=lambda: None, stored=lambda: done, record=done, label="arcface"
    )
    said: list[str] = []
    assert wait_for([cast(Cell, made)], said.append) == ExitCode.DONE
    assert len((tmp_path / "calls").read_text().splitlines()) == 3
    assert len(said) == 2
    assert said[0].endswith("waiting")
