"""Which runs share a figure: in the order of their noise, averaged only where nothing but the seed differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from noisebench.analysis import run_groups
from noisebench.analysis.drawings import of_noise
from noisebench.analysis.drift import drift_from_clean_run
from noisebench.analysis.run_groups import by_method, clean_runs, noise_order, with_tables
from noisebench.bench.record import Code
from noisebench.bench.store import Run
from noisebench.errors import UserError
from noisebench.noise.schema import CLEAN
from tests.analysis.made_up import NUM_CLASSES, made_up_run
from tests.analysis.runs import record


def test_noises_come_clean_first_then_by_kind_and_rate() -> None:
    counts = {
        "c10o10": (1, 1),
        "open30": (0, 3),
        "closed50": (5, 0),
        "clean": (0, 0),
        "open10": (0, 1),
        "closed10": (1, 0),
    }
    runs = [
        Run(Path(), record(noise=noise, noise_counts={"clean": 10 - closed - open_, "closed": closed, "open": open_}))
        for noise, (closed, open_) in counts.items()
    ]
    order = [run.record.noise for run in sorted(runs, key=noise_order)]
    assert order == ["clean", "closed10", "closed50", "open10", "open30", "c10o10"]
    assert [run.record.noise for run in clean_runs(runs)] == ["clean"]


def test_only_runs_that_may_be_averaged_share_a_line(tmp_path: Path) -> None:
    other = Code(version="0", sha256="b" * 64, git_commit=None, git_dirty=None)
    runs = [made_up_run(tmp_path, method="arcface", seed=seed, hash=f"{seed}" * 8) for seed in range(2)]
    runs += [
        made_up_run(tmp_path, method="arcface", seed=2, hash="othercode", code=other),
        made_up_run(tmp_path, method="cosface", hash="cosface0"),
        made_up_run(tmp_path, method="softmax", status="running", hash="softmax0"),
    ]
    shutil.rmtree(runs[3].folder / "samples")
    told: list[str] = []
    chosen = by_method(runs, told.append)
    assert {method: [run.record.seed for run in found] for method, found in chosen.items()} == {
        "arcface": [0, 1],
        "cosface": [0],
    }
    assert len(told) == 1
    assert "arcface under closed30, seed 2 is left out of the curves: " in told[0]
    assert "differ in code" in told[0]
    logged = with_tables(chosen, told.append)
    assert {method: len(found) for method, found in logged.items()} == {"arcface": 2}
    assert "no sample log here" in told[1]
    captions = {drawing.name: drawing.caption for drawing in of_noise(chosen, logged, [])}
    assert captions["memorisation"].endswith("Mean over up to 2 seeds, in a band from the least to the greatest.")
    assert captions["angles"].endswith("The first seed of each method.")


def test_centres_are_held_against_the_clean_run_of_the_same_method_and_seed(tmp_path: Path) -> None:
    noisy = [made_up_run(tmp_path, seed=seed, hash=f"noisy{seed}" * 2) for seed in range(2)]
    clean = made_up_run(tmp_path, "clean", [CLEAN] * 100, seed=1, hash="clean1" * 2)
    for place, run in enumerate([*noisy, clean]):
        centres = np.random.Generator(np.random.Philox(place)).standard_normal((NUM_CLASSES, 3), dtype=np.float32)
        np.save(run.folder / "centres.npy", centres)
    chosen = by_method(noisy, pytest.fail)
    logged = with_tables(chosen, pytest.fail)
    (drawing,) = [one for one in of_noise(chosen, logged, clean_runs([*noisy, clean])) if one.name == "centres"]
    (panel,) = drawing.draw().axes
    median = np.asarray(panel.get_lines()[2].get_xdata(), float)
    expected = np.degrees(np.median(drift_from_clean_run(noisy[1], clean)["angle"]))
    np.testing.assert_allclose(median, [expected], rtol=1e-5)


def test_images_are_looked_at_of_the_first_run_as_far_as_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {"arcface": [made_up_run(tmp_path, seed=seed, hash=f"seed{seed}" * 3) for seed in range(2)]}
    (found,) = with_tables(runs, pytest.fail, with_images=True).values()
    assert len(found) == 2  # they do not say where their images were

    asked = []

    def look(run: Run, images: object = None) -> object:
        asked.append((run.record.seed, images is not None))
        if images is not None:
            raise UserError("the images are elsewhere now")
        return pd.DataFrame()

    monkeypatch.setattr(run_groups, "images_of", lambda run: (tmp_path, None))
    monkeypatch.setattr(run_groups, "tables_of", look)
    assert len(with_tables(runs, pytest.fail, with_images=True)["arcface"]) == 2
    assert asked == [(0, True), (0, False), (1, False)]
