"""A bench killed without warning, from the command line, and data that change under a run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from noisebench.bench import execute
from noisebench.bench.plan import plan
from noisebench.bench.record import RunRecord
from noisebench.bench.request import Request
from noisebench.bench.store import all_runs
from noisebench.exit_codes import ExitCode
from noisebench.training import checkpoint
from noisebench.training.heartbeat import Heartbeat
from noisebench.training.stopping import StopRequest
from tests.e2e.conftest import Command
from tests.tiny import write_faces


def test_a_bench_that_was_killed_goes_on_where_it_was(tiny: Path, tmp_path: Path, noisebench: Command) -> None:
    (tmp_path / "tiny.yaml").write_text((tiny / "tiny.yaml").read_text().replace("epochs: 3", "epochs: 12"))
    command = ["bench", "--suite", "tiny.yaml", "--data", str(tiny / "faces"), "--methods", "arcface"]
    whole = noisebench(*command, "--results", "whole")
    assert whole.returncode == 0, whole.stderr
    command += ["--results", "killed"]
    bench = subprocess.Popen([sys.executable, "-m", "noisebench", *command], cwd=tmp_path, stderr=subprocess.DEVNULL)
    worker = _worker_at_step(tmp_path / "killed", 10, bench)
    bench.kill()  # before it can note that its worker was killed
    os.kill(worker, signal.SIGKILL)
    bench.wait()
    finished = noisebench(*command)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "epoch 1/12" not in finished.stderr
    (one,), (two,) = (all_runs(tmp_path / results) for results in ("whole", "killed"))
    assert one.record.metrics == two.record.metrics
    histories = [[(epoch.loss, epoch.learning_rate) for epoch in run.record.history] for run in (one, two)]
    assert histories[0] == histories[1]
    for log in ("samples", "centres"):
        files = [sorted((run.folder / log).rglob("*.parquet")) for run in (one, two)]
        assert len(files[0]) == len(files[1]) == 12
        for expected, found in zip(*files, strict=True):
            pd.testing.assert_frame_equal(pd.read_parquet(found), pd.read_parquet(expected))


def test_a_process_that_dies_is_started_again_with_the_others(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text((tiny / "tiny.yaml").read_text().replace("epochs: 3", "epochs: 12"))
    arguments = ["--suite", "tiny.yaml", "--data", str(tiny / "faces"), "--methods", "arcface"]
    command = [sys.executable, "-m", "noisebench", "bench", *arguments, "--nproc", "2", "--restarts", "1"]
    with (tmp_path / "output.txt").open("w") as output:
        bench = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output)
        os.kill(_worker_at_step(tmp_path / "results", 10, bench), signal.SIGKILL)
        assert bench.wait(timeout=300) == ExitCode.DONE
    (run,) = all_runs(tmp_path / "results")
    assert run.record.status == "done"
    assert [epoch.epoch for epoch in run.record.history] == list(range(12))
    assert (tmp_path / "output.txt").read_text().count("epoch 1/12") == 1


def _worker_at_step(results: Path, step: int, bench: subprocess.Popen[bytes]) -> int:
    """Wait until the run has come that far; give the process that trains."""
    while bench.poll() is None:
        for folder in results.glob("runs/*/*/*/*"):
            heartbeat = Heartbeat.read(folder)
            if heartbeat is not None and heartbeat.step >= step:
                return heartbeat.pid
        time.sleep(0.01)
    raise AssertionError("the bench ended before it came so far")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("data", "the noise manifest was made for another data set: fingerprint"),
        ("data and manifest", "the data set changed under the run: fingerprint"),
    ],
)
def test_data_that_change_under_a_run_are_told_of_and_cost_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, told: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny / "faces", data)
    request = Request(
        suite=str(tiny / "tiny.yaml"),
        noise=("closed30",),
        methods=("arcface",),
        seeds=(0,),
        data=data,
        results=tmp_path / "results",
        device="cpu",
    )
    (cell,) = plan(request, say=lambda _: None)
    cell.write()
    with monkeypatch.context() as stopped:
        stopped.setattr(StopRequest, "made", True, raising=False)
        stopped.setattr(StopRequest, "__init__", lambda self: None)
        assert execute.main(cell.folder) == ExitCode.STOPPED
    record = RunRecord.read(cell.folder)
    assert record.status == "interrupted"
    assert record.reason == "stopped and saved in epoch 1 of 3, step 1 of 3"
    shutil.copytree(data, tmp_path / "before")
    shutil.rmtree(data)
    write_faces(data, seed=1)
    manifest = cell.inputs.manifest.read_bytes()
    if changed == "data and manifest":
        (other,) = plan(request, say=lambda _: None)
        cell.inputs.manifest.write_bytes(other.inputs.manifest.read_bytes())
    assert execute.main(cell.folder) == ExitCode.FAILED
    reason = RunRecord.read(cell.folder).reason
    assert reason is not None
    assert told in reason
    assert "\n" not in reason
    assert len(checkpoint.checkpoints(cell.folder)) == 1
    shutil.rmtree(data)
    shutil.move(tmp_path / "before", data)
    cell.inputs.manifest.write_bytes(manifest)
    assert execute.main(cell.folder) == ExitCode.DONE
