"""The page of a run says everything its record does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from noisebench.analysis.run_page import run_page
from noisebench.bench.record import DataSource, Environment
from noisebench.bench.store import Run
from tests.analysis.runs import log_epoch, record


def test_a_finished_run(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(3))
    (tmp_path / "model.pt").touch()
    environment = Environment(
        python="3.11.9", torch="2.13", numpy="2.4", platform="Linux x86_64", device="cpu", world_size=2, threads=4
    )
    made = record(
        config={"training": {"epochs": 12, "schedule": {"kind": "poly"}}},
        environment=environment,
        outliers=DataSource(name="strangers", fingerprint="7" * 64, num_images=10, num_classes=2),
        timings={"train": 1234.5},
        started="then",
        finished="later",
    )
    page = run_page(Run(tmp_path, made))
    for told in (
        "# arcface under closed30, seed 0",
        "- Status: done\n",
        "- Noise: closed30: 30.00% closed-set (300 images)",
        "- Outliers: strangers: 10 images (77777777)",
        "- Machine: Linux x86_64, cpu, 2 processes of 4 threads",
        "- Started: then, finished later",
        "- Time: train 1,234.5 s",
        "- Logs: samples of 1 epoch, model.pt",
        "| training.schedule.kind | poly  |",
        "| test set | pairs | accuracy     | TAR@FAR=0.001 | mean norm |",
        "| faces    | 600   | 90.00 ± 1.00 | 50.00         | 10.00     |",
        "| 11    | 1.0000 | 0.1           | 1        |",
    ):
        assert told in page


def test_a_run_without_anything_yet(tmp_path: Path) -> None:
    page = run_page(Run(tmp_path, record(status="failed", reason="no space", metrics={}, history=[])))
    assert "- Status: failed: no space\n" in page
    assert "- Logs: none\n" in page
    assert "None yet." in page
    assert page.endswith("No epoch is finished.\n")
