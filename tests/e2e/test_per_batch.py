"""Noise by batch from the command line: exposures as the rule says, the same for two processes and after a stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from noisebench.analysis.sample_log import join_manifest, read_samples
from noisebench.bench.store import Run, all_runs
from noisebench.data.sampler import BatchSampler
from noisebench.formats.face_set import FaceSet
from tests.e2e.conftest import Command
from tests.tiny import IDENTITIES, IMAGES

RECIPE = "per_batch: {closed: 0.25, open: 0.2}\n"
BATCH, NUM_OPEN, NUM_CLOSED = 12, 2, 3  # of the tiny suite; 12 x 0.2 = 2.4 and 12 x 0.25 = 3


def bench(tiny: Path, folder: Path, *more: str) -> list[str]:
    (folder / "batch25o20.yaml").write_text(RECIPE, encoding="utf-8")
    noise = ["--noise", str(folder / "batch25o20.yaml")]
    return ["bench", "--suite", str(tiny / "tiny.yaml"), "--data", str(tiny / "faces"), *noise, *more]


@pytest.fixture(scope="module")
def whole(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The results folder of a bench in one process, and what was printed."""
    folder = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "noisebench", *bench(tiny, folder, "--methods", "softmax,arcface")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results", done.stdout


def check_exposures(run: Run, faces: FaceSet, outliers: FaceSet) -> None:
    """The log against the rule, place by place of every batch of every epoch."""
    num_rows = IDENTITIES * IMAGES
    samples = read_samples(run.folder).set_index(["epoch", "row"])
    assert len(samples) == 3 * num_rows
    for epoch in range(3):
        order = BatchSampler(num_rows=num_rows, batch_size=BATCH, seed=run.record.seeds["order"]).order(epoch)
        shown = []
        for position, row in enumerate(order):
            place, own = position % BATCH, int(faces.labels[row])
            sample = samples.loc[(epoch, row)]
            if place < NUM_OPEN:
                assert (sample["exposure"], sample["label"]) == ("open", own)
                assert np.isnan(sample["angle_true"])
                shown.append(sample["outlier_index"])
            elif place < NUM_OPEN + NUM_CLOSED:
                assert (sample["exposure"], sample["label"]) == ("closed", (own + 1) % IDENTITIES)
                assert sample["angle_true"] != sample["angle_label"]
            else:
                assert (sample["exposure"], sample["label"]) == ("clean", own)
                assert sample["angle_true"] == sample["angle_label"]
            assert (sample["outlier_index"] == -1) == (place >= NUM_OPEN)
            assert sample["used_label"] == sample["label"]  # neither method corrects
        assert len(set(shown)) == len(shown) == num_rows // BATCH * NUM_OPEN
        assert set(shown) <= set(outliers.keys.tolist())


def test_a_bench_logs_every_exposure_and_says_that_the_noise_is_by_batch(tiny: Path, whole: tuple[Path, str]) -> None:
    results, printed = whole
    assert "## tiny, faces, batch25o20 (noise per batch)" in printed
    counts = "25.00% closed-set (3 of 12 images) and 16.67% open-set (2 of 12 images)"
    assert f"- Noise: batch25o20: by batch, not a property of the sample: {counts}" in printed
    runs = all_runs(results)
    assert [(run.record.method, run.record.status) for run in runs] == [("arcface", "done"), ("softmax", "done")]
    faces = FaceSet.open(tiny / "faces")
    for run in runs:
        assert run.record.noise_per_batch is not None
        assert run.record.noise_counts == {"clean": 36, "closed": 0, "open": 0}
        assert run.record.outliers is not None
        check_exposures(run, faces, FaceSet.open(tiny / "faces" / "outliers"))
        kinds = join_manifest(read_samples(run.folder), run.manifest())["kind"].value_counts()
        assert kinds.to_dict() == {"clean": 9 * 7, "closed": 9 * 3, "open": 9 * 2}
    assert (results / "figures/tiny-faces/angles-batch25o20.svg").stat().st_size > 10_000


def test_two_processes_and_a_stopped_run_end_as_one_that_was_not_stopped(
    tiny: Path, tmp_path: Path, whole: tuple[Path, str], noisebench: Command
) -> None:
    together = noisebench(*bench(tiny, tmp_path, "--methods", "arcface", "--nproc", "2", "--results", "two"))
    assert together.returncode == 0, together.stdout + together.stderr
    command = bench(tiny, tmp_path, "--methods", "arcface", "--results", "stopped")
    stop_after_the_first_epoch(command, tmp_path)
    finished = noisebench(*command)
    assert finished.returncode == 0, finished.stderr
    assert "epoch 1/3" not in finished.stderr  # it does not start from the beginning
    one = next(run for run in all_runs(whole[0]) if run.record.method == "arcface")
    (two,), (stopped,) = all_runs(tmp_path / "two"), all_runs(tmp_path / "stopped")
    assert one.record.hash == two.record.hash == stopped.record.hash
    assert one.record.metrics == stopped.record.metrics
    alone, parted, resumed = (read_samples(run.folder) for run in (one, two, stopped))
    pd.testing.assert_frame_equal(alone, resumed)
    exact = ["epoch", "row", "exposure", "label", "outlier_index", "used_label"]
    pd.testing.assert_frame_equal(alone[exact], parted[exact])
    np.testing.assert_allclose(alone["angle_label"], parted["angle_label"], atol=2e-3)


def stop_after_the_first_epoch(command: list[str], folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "noisebench", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 1/3" in line:
            process.send_signal(signal.SIGTERM)
            break
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 75, output


@pytest.mark.parametrize(
    ("recipe", "data", "told"),
    [
        (RECIPE, "alone", "open-set noise needs an outlier set: name it with --outliers"),
        ("per_batch: {closed: 0.08, open: 0.08}", "faces", "hits no image in a batch of 12"),
        (
            "per_batch: {closed: 0.25, open: 0.2, batch_size: 8}",
            "faces",
            "batch_size 12 is no multiple of the 8 images",
        ),
        (RECIPE + "closed: {rate: 0.2}", "faces", "key 'closed' does not apply to noise by batch"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    tiny: Path, tmp_path: Path, noisebench: Command, recipe: str, data: str, told: str
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in (tiny / "faces").glob("*.*"):
        (alone / file.name).symlink_to(file)
    (alone / "property").symlink_to(tiny / "faces" / "property")
    folder = {"alone": alone, "faces": tiny / "faces"}[data]
    (tmp_path / "mine.yaml").write_text(recipe, encoding="utf-8")
    suite = ["--suite", str(tiny / "tiny.yaml"), "--data", str(folder)]
    done = noisebench("bench", *suite, "--noise", "mine.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_noise_and_audit_say_that_the_noise_is_by_batch(tiny: Path, tmp_path: Path, noisebench: Command) -> None:
    data = ["--data", str(tiny / "faces")]
    made = noisebench("data", "noise", "batch15o05", *data, "--out", "batch.parquet")
    audited = noisebench("data", "audit", "batch.parquet", *data)
    for done in (made, audited):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "15 % closed-set and 5 % open-set of every batch" in done.stdout
        assert "noise by batch: not a property of the sample" in done.stdout
    without = noisebench("data", "noise", "batch15o05", "--data", tiny / "faces" / "outliers", "--out", "other.parquet")
    assert without.returncode == 2
    assert without.stderr == "noisebench: open-set noise needs an outlier set: name it with --outliers\n"
    assert not (tmp_path / "other.parquet").exists()
