"""``--launcher slurm`` on a real Slurm of one node: submitted, seen, preempted, requeued, resumed, finished."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noisebench.bench.slurm_queue import SubmittedJob, queue
from noisebench.bench.status import RunStatus, all_statuses
from noisebench.bench.store import all_runs
from tests.bench.outcomes import outcomes
from tests.tiny import SUITE, write_faces

HERE = Path(__file__).resolve().parent
EPOCHS = 60
COMMAND = [sys.executable, "-m", "noisebench", "bench", "--suite", "tiny.yaml", "--data", "faces"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a Slurm that runs."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([HERE / "start.sh", folder], capture_output=True, text=True, timeout=60)
    try:
        if started.returncode:
            pytest.skip(f"no Slurm could be started here: {started.stderr.strip()}")
        yield folder / "slurm.conf"
    finally:
        subprocess.run([HERE / "stop.sh", folder], capture_output=True, timeout=60)


def test_jobs_are_submitted_once_requeued_when_preempted_and_go_on(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(cluster))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_faces(tmp_path / "faces")
    (tmp_path / "tiny.yaml").write_text(SUITE.replace("epochs: 3", f"epochs: {EPOCHS}"), encoding="utf-8")
    results = tmp_path / "results"

    submitted = bench(tmp_path, "--slurm", "cpus=1", "--slurm", "time=10")
    assert submitted.returncode == 0, submitted.stderr
    assert submitted.stdout.count("submitted as Slurm job") == 2
    jobs = [SubmittedJob.read(run.folder) for run in all_runs(results)]
    first, second = (job.id for job in jobs if job is not None)
    wait_until(results, lambda run: run.status == "running" and (run.step or 0) > 3)
    for run in all_statuses(results):
        assert (run.job_state, run.host) == ("RUNNING", os.uname().nodename)
        assert run.job in (first, second)

    slurm("scancel", "--signal=TERM", first)  # as a preemption or the end of its time: the job requeues itself
    slurm("scontrol", "requeue", second)  # as an administrator does
    wait_until(results, lambda run: run.status == "interrupted" and run.job_state == "PENDING")
    stopped = {run.job: run.step or 0 for run in all_statuses(results)}
    assert all(0 < step < 3 * EPOCHS for step in stopped.values())
    again = bench(tmp_path)
    assert again.stdout.count("(PENDING") == 2, again.stdout + again.stderr  # neither is submitted twice
    assert len(queue()) == 2

    for job in (first, second):
        slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm lets a requeued job wait for two minutes
    whole = uninterrupted(tmp_path)
    waited = bench(tmp_path, "--wait")
    assert waited.returncode == 0, waited.stdout + waited.stderr
    assert "| arcface" in waited.stdout
    assert whole.wait(timeout=120) == 0, (tmp_path / "whole.txt").read_text()
    assert outcomes(results) == outcomes(tmp_path / "whole")
    for finished in all_runs(results):
        assert finished.record.status == "done"
        assert [epoch.epoch for epoch in finished.record.history] == list(range(EPOCHS))
    for log in (results / "slurm").glob("*/*_0_log.err"):
        assert log.read_text().count(f"epoch 1/{EPOCHS}") == 1  # it did not begin again


def test_what_slurm_refuses_is_one_line(cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", str(cluster))
    write_faces(tmp_path / "faces")
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    refused = bench(tmp_path, "--slurm", "partition=nowhere")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "nowhere" in refused.stderr or "partition" in refused.stderr


def bench(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--launcher", "slurm", *more], cwd=folder, capture_output=True, text=True, timeout=300
    )


def uninterrupted(folder: Path) -> subprocess.Popen[str]:
    """The same runs without Slurm."""
    with (folder / "whole.txt").open("w") as output:
        return subprocess.Popen([*COMMAND, "--results", "whole"], cwd=folder, stdout=output, stderr=output, text=True)


def slurm(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)


def wait_until(results: Path, reached: Callable[[RunStatus], bool]) -> None:
    deadline = time.monotonic() + 120
    while not all(map(reached, all_statuses(results))):
        if time.monotonic() > deadline:
            logs = "".join(path.read_text() for path in (results / "slurm").glob("*/*_log.*"))
            found = json.dumps([run.model_dump() for run in all_statuses(results)], indent=1)
            pytest.fail(f"not reached in two minutes:\n{found}\n{logs}")
        time.sleep(0.3)
