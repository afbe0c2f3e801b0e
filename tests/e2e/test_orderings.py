"""The default bench shows what the field reports: noise hurts, softmax most, and methods differ in how much.

The orderings were seen with three training seeds each on faces of another seed than those trained on here.
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
    found = {}
    for run in all_runs(Path(folder) / "results"):
        accuracy = run.record.metrics["synth_unseen"].accuracy
        assert accuracy is not None
        found[run.record.noise, run.record.method] = accuracy
    return found


def test_clean_labels_are_learnt(accuracy: dict[tuple[str, str], float]) -> None:
    assert accuracy["clean", "arcface"] > accuracy["clean", "softmax"] > 0.9


def test_noise_hurts_and_softmax_most(accuracy: dict[tuple[str, str], float]) -> None:
    lost = {method: accuracy["clean", method] - accuracy["closed30", method] for method in ("softmax", "arcface")}
    assert lost["softmax"] > lost["arcface"] > 0
    assert accuracy["closed30", "softmax"] == min(
        value for (noise, _), value in accuracy.items() if noise == "closed30"
    )


def test_mining_hard_negatives_suffers_more_than_arcface(accuracy: dict[tuple[str, str], float]) -> None:
    assert accuracy["closed30", "curricularface"] < accuracy["closed30", "arcface"]


def test_correcting_labels_wins_back_most_of_what_noise_took(accuracy: dict[tuple[str, str], float]) -> None:
    lost = accuracy["clean", "arcface"] - accuracy["closed30", "arcface"]
    assert accuracy["closed30", "boundaryf1"] - accuracy["closed30", "arcface"] > lost / 2
