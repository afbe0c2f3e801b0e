"""The default bench shows what the field reports: noise hurts, and methods differ in how much.

Asserted are the orderings that held in every length and size of the suite that was tried, and with one thread and two.
Where softmax stands beside CurricularFace is not among them: it changed from nine epochs to ten.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from noisebench.bench.store import all_runs

pytestmark = pytest.mark.slow

CELLS = {"clean": "softmax,arcface", "closed30": "softmax,arcface,curricularface,boundaryf1"}


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], float]:
    """Accuracy on unseen people by (noise, method), from the default suite as a user runs it."""
    folder = tmp_path_factory.mktemp("orderings")
    for noise, methods in CELLS.items():
        command = [sys.executable, "-m", "noisebench", "bench", "--noise", noise, "--methods", methods]
        subprocess.run(command, cwd=folder, check=True)
    runs = all_runs(Path(folder) / "results")
    return {(run.record.noise, run.record.method): run.record.metrics["synth_unseen"].accuracy for run in runs}


def test_clean_labels_are_learnt(accuracy: dict[tuple[str, str], float]) -> None:
    assert accuracy["clean", "arcface"] > accuracy["clean", "softmax"] > 0.9


def test_noise_hurts_and_softmax_more_than_a_margin(accuracy: dict[tuple[str, str], float]) -> None:
    assert accuracy["closed30", "softmax"] < accuracy["clean", "softmax"]
    assert accuracy["closed30", "arcface"] < accuracy["clean", "arcface"]
    assert accuracy["closed30", "softmax"] < accuracy["closed30", "arcface"]


def test_mining_hard_negatives_suffers_more_than_arcface(accuracy: dict[tuple[str, str], float]) -> None:
    assert accuracy["closed30", "curricularface"] < accuracy["closed30", "arcface"]


def test_correcting_labels_wins_back_what_noise_took(accuracy: dict[tuple[str, str], float]) -> None:
    assert accuracy["closed30", "boundaryf1"] > accuracy["closed30", "arcface"]
