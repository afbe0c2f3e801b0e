"""A bench whose classes are split over two processes finds what one process finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from noisebench.analysis.centre_log import read_centres
from noisebench.analysis.sample_log import read_samples
from noisebench.bench.store import all_runs
from tests.e2e.conftest import Command

SHARDED = "head: {scale: 16.0, mode: sharded}"


def test_two_processes_with_half_the_classes_each_give_what_one_gives(
    tiny: Path, tmp_path: Path, noisebench: Command
) -> None:
    suite = (tiny / "tiny.yaml").read_text().replace("head: {scale: 16.0}", SHARDED)
    (tmp_path / "tiny.yaml").write_text(suite)
    for processes in ("1", "2"):
        methods = ("--methods", "curricularface", "--nproc", processes, "--results", processes)
        done = noisebench("bench", "--suite", "tiny.yaml", "--data", tiny / "faces", *methods)
        assert done.returncode == 0, done.stdout + done.stderr
    for one, two in zip(all_runs(tmp_path / "1"), all_runs(tmp_path / "2"), strict=True):
        for alone, together in zip(one.record.history, two.record.history, strict=True):
            assert together.loss == pytest.approx(alone.loss, rel=1e-4)
        samples = [read_samples(run.folder).sort_values(["epoch", "row"]) for run in (one, two)]
        np.testing.assert_allclose(samples[0]["angle_nearest"], samples[1]["angle_nearest"], atol=2e-3)
        centres = [read_centres(run.folder) for run in (one, two)]
        np.testing.assert_allclose(centres[0]["angle_first"], centres[1]["angle_first"], atol=1e-3)
        models = [torch.load(run.folder / "model.pt", weights_only=True)["state"] for run in (one, two)]
        torch.testing.assert_close(models[0], models[1], rtol=1e-3, atol=1e-4)
