"""``noisebench bench`` from the command line, as its user runs it: results, cache, failures, mistakes, interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from noisebench.analysis.drift import read_final_centres
from noisebench.analysis.sample_log import read_samples
from noisebench.bench.store import all_runs
from tests.bench.test_record import SCHEMA
from tests.e2e.conftest import Command


def _bench(tiny: Path, *more: str) -> list[str]:
    return ["bench", "--suite", str(tiny / "tiny.yaml"), "--data", str(tiny / "faces"), *more]


def test_a_bench_leaves_records_logs_table_and_figures_and_is_cached(
    tiny: Path, tmp_path: Path, noisebench: Command
) -> None:
    first = noisebench(*_bench(tiny, "--noise", "closed30", "--seeds", "0,1"))
    assert first.returncode == 0, first.stderr
    assert "| arcface" in first.stdout
    runs = all_runs(tmp_path / "results")
    assert [(run.record.method, run.record.seed, run.record.status) for run in runs] == [
        ("arcface", 0, "done"),
        ("arcface", 1, "done"),
        ("softmax", 0, "done"),
        ("softmax", 1, "done"),
    ]
    schema = json.loads(SCHEMA.read_text())
    for run in runs:
        jsonschema.validate(json.loads((run.folder / "result.json").read_text()), schema)
        assert run.record.noise_counts == {"clean": 25, "closed": 11, "open": 0}  # round(0.3 * 36)
        samples = read_samples(run.folder)
        assert sorted(samples["epoch"].unique()) == [0, 1, 2]
        assert samples.groupby("epoch")["row"].nunique().eq(36).all()
        assert (run.folder / "model.pt").is_file()
        assert read_final_centres(run.folder).dtype == np.float32
        assert not (run.folder / "checkpoints").exists()
    for place in ("tables/tiny-faces/closed30.md", "tables/tiny-faces/closed30.csv", "figures/tiny-faces/accuracy.png"):
        assert (tmp_path / "results" / place).stat().st_size > 100
    assert (tmp_path / "results/figures/tiny-faces/angles-closed30.svg").stat().st_size > 10_000

    second = noisebench(*_bench(tiny, "--noise", "closed30", "--seeds", "0,1"))
    assert second.returncode == 0
    assert second.stdout.count("(cached)") == 4
    assert "epoch" not in second.stderr
    table = first.stdout[first.stdout.index("##") :]
    assert second.stdout.endswith(table)


def test_the_same_seed_gives_the_same_run_to_the_bit(tiny: Path, tmp_path: Path, noisebench: Command) -> None:
    for results in ("one", "two"):
        done = noisebench(*_bench(tiny, "--noise", "open30", "--methods", "arcface", "--results", results))
        assert done.returncode == 0, done.stderr
    (one,), (two,) = (all_runs(tmp_path / results) for results in ("one", "two"))
    assert one.record.metrics == two.record.metrics
    assert [epoch.loss for epoch in one.record.history] == [epoch.loss for epoch in two.record.history]
    np.testing.assert_array_equal(read_samples(one.folder).to_numpy(), read_samples(two.folder).to_numpy())


def test_two_processes_give_the_metrics_of_one(tiny: Path, tmp_path: Path, noisebench: Command) -> None:
    for processes in ("1", "2"):
        done = noisebench(*_bench(tiny, "--methods", "arcface", "--nproc", processes, "--results", processes))
        assert done.returncode == 0, done.stdout + done.stderr
    (one,), (two,) = (all_runs(tmp_path / processes) for processes in ("1", "2"))
    assert one.record.hash == two.record.hash
    assert two.record.environment is not None
    assert two.record.environment.world_size == 2
    for alone, together in zip(one.record.history, two.record.history, strict=True):
        assert together.loss == pytest.approx(alone.loss, rel=1e-4)
    samples = [read_samples(run.folder).sort_values(["epoch", "row"]) for run in (one, two)]
    np.testing.assert_allclose(samples[0]["angle_label"], samples[1]["angle_label"], atol=2e-3)
    assert two.record.metrics["unseen"].mean_norm == pytest.approx(one.record.metrics["unseen"].mean_norm, rel=1e-3)


def test_a_method_that_fails_does_not_stop_the_others(tiny: Path, tmp_path: Path, noisebench: Command) -> None:
    suite = (tiny / "tiny.yaml").read_text().replace("softmax: {}", "cosface: {scale: 3.0e+38}")
    (tmp_path / "tiny.yaml").write_text(suite)
    done = noisebench("bench", "--suite", "tiny.yaml", "--data", tiny / "faces")
    assert done.returncode == 1
    assert "failed: the loss is not finite in epoch 1, step 1; the batch holds records" in done.stdout
    assert {run.record.method: run.record.status for run in all_runs(tmp_path / "results")} == {
        "arcface": "done",
        "cosface": "failed",
    }
    assert "Traceback" not in done.stdout + done.stderr
    assert "| cosface" in done.stdout[done.stdout.index("##") :]


def test_a_stopped_bench_goes_on_and_ends_as_if_it_had_not_been_stopped(
    tiny: Path, tmp_path: Path, noisebench: Command
) -> None:
    whole = noisebench(*_bench(tiny, "--methods", "arcface", "--results", "whole"))
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "noisebench", *_bench(tiny, "--methods", "arcface", "--results", "stopped")]
    bench = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert bench.stderr is not None
    for line in bench.stderr:
        if "epoch 1/3" in line:
            bench.send_signal(signal.SIGTERM)
            break
    output, _ = bench.communicate(timeout=300)
    assert bench.returncode == 75, output
    assert "the same command goes on from there" in output
    (stopped,) = all_runs(tmp_path / "stopped")
    assert stopped.record.status == "interrupted"
    finished = noisebench(*_bench(tiny, "--methods", "arcface", "--results", "stopped"))
    assert finished.returncode == 0, finished.stderr
    assert "epoch 1/3" not in finished.stderr  # it does not start from the beginning
    (one,), (two,) = (all_runs(tmp_path / results) for results in ("whole", "stopped"))
    assert one.record.metrics == two.record.metrics
    np.testing.assert_array_equal(read_samples(one.folder).to_numpy(), read_samples(two.folder).to_numpy())


def test_a_killed_process_is_a_failed_cell_with_its_reason(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "noisebench", *_bench(tiny, "--methods", "arcface")]
    bench = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    workers: list[str] = []
    while not workers and bench.poll() is None:
        time.sleep(0.05)
        found = subprocess.run(["pgrep", "-P", str(bench.pid)], capture_output=True, text=True).stdout.split()
        workers = [pid for pid in found if b"noisebench.bench.execute" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(workers[0]), signal.SIGKILL)
    output, _ = bench.communicate(timeout=300)
    assert bench.returncode == 1
    assert "failed: its process was killed by signal 9, for want of memory perhaps" in output


def test_a_manifest_that_was_made_before_is_benched_like_its_recipe(
    tiny: Path, tmp_path: Path, noisebench: Command
) -> None:
    made = noisebench("data", "noise", "closed30", "--data", tiny / "faces", "--out", "made.parquet")
    assert made.returncode == 0, made.stderr
    for noise in ("closed30", "made.parquet"):
        done = noisebench(*_bench(tiny, "--methods", "softmax", "--noise", noise))
        assert done.returncode == 0, done.stderr
    assert "(cached)" in done.stdout  # the same manifest, so the same run


def test_a_manifest_of_other_data_is_refused(tiny: Path, tmp_path: Path, noisebench: Command) -> None:
    noisebench("data", "faces", "other", "--identities", "3", "--images", "2", "--pairs", "20")
    noisebench("data", "noise", "closed30", "--data", "other", "--out", "other.parquet")
    done = noisebench(*_bench(tiny, "--noise", "other.parquet"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "fingerprint" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--noise", "closd30"], "unknown noise recipe 'closd30': did you mean 'closed30'?"),
        (["--methods", "arcfase"], "unknown method 'arcfase': did you mean 'arcface'?"),
        (["--methods", "arcface,arcface"], "holds a name twice"),
        (["--seeds", "one"], "'one' is no whole number"),
        (["--nproc", "5"], "batch_size 12 does not divide over 5 processes"),
        (["--reader", "mxnext"], "mxnext"),
        (["--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["--data", "nowhere"], "nowhere"),
        (["--outliers", "nowhere", "--noise", "open30"], "nowhere"),
        (["--noise", "nowhere.parquet"], "nowhere.parquet"),
        (["--noise", "closed30,hard20"], "centres"),
        (["--suite", "sinth"], "unknown suite 'sinth': did you mean 'synth'?"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    tiny: Path, tmp_path: Path, noisebench: Command, arguments: list[str], told: str
) -> None:
    done = noisebench(*_bench(tiny), *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("no rec", "train.rec"),
        ("no idx", "train.idx"),
        ("no bin", "holds no verification set"),
        ("truncated rec", "train.rec"),
        ("idx past the end", "train.rec"),
        ("bad label", "label"),
        ("hostile bin", "refused"),
    ],
)
def test_damaged_data_is_one_line_with_the_file_and_leaves_nothing(
    tiny: Path, tmp_path: Path, noisebench: Command, damage: str, told: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny / "faces", data)
    rec, idx, testset = data / "train.rec", data / "train.idx", data / "unseen.bin"
    match damage:
        case "no rec":
            rec.unlink()
        case "no idx":
            idx.unlink()
        case "no bin":
            testset.unlink()
        case "truncated rec":
            rec.write_bytes(rec.read_bytes()[: rec.stat().st_size // 2])
        case "idx past the end":
            lines = idx.read_text().splitlines()
            idx.write_text("\n".join([*lines[:5], f"{lines[5].split()[0]}\t99999996", *lines[6:]]) + "\n")
        case "bad label":
            content = bytearray(rec.read_bytes())
            offset = int(idx.read_text().splitlines()[3].split("\t")[1])
            content[offset + 12 : offset + 16] = np.float32(77).tobytes()
            rec.write_bytes(content)
        case "hostile bin":
            testset.write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    done = noisebench(*_bench(tiny), "--data", data)
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert str(data) in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "hacked").exists()
