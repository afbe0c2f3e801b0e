from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from datasets_tools.app import app
from datasets_tools.diff import Overlap, diff
from datasets_tools.make_noise import make_manifest
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe
from tests.fabricated import fabricated_set

BASE = fabricated_set(60)
OUTLIERS = fabricated_set(100, first_key=5000, folder="outliers")


def made(recipe: str, seed: int = 4) -> Manifest:
    return make_manifest(load_recipe(recipe), BASE, OUTLIERS, seed)


def test_a_manifest_equals_itself() -> None:
    found = diff(made("c20o20"), made("c20o20"))
    assert found.same_columns
    assert found.metadata == {}
    assert {overlap.nested for overlap in found.overlap.values()} == {"equal"}
    assert "columns: equal" in str(found)


def test_a_higher_rate_holds_the_lower_one() -> None:
    a, b = made("closed20"), made("closed30")
    found = diff(a, b)
    noisy_a, noisy_b = int((a.kind == 1).sum()), int((b.kind == 1).sum())
    assert found.overlap["closed"] == Overlap(0, noisy_b - noisy_a, noisy_a, noisy_a, "A in B")
    assert found.overlap["any"] == found.overlap["closed"]
    assert found.overlap["open"] == Overlap(0, 0, 0, 0, "equal")
    assert diff(b, a).overlap["closed"] == Overlap(noisy_b - noisy_a, 0, noisy_a, noisy_a, "B in A")
    assert found.columns == {name: noisy_b - noisy_a if name in ("kind", "label") else 0 for name in a.columns()}
    assert found.metadata["recipe.name"] == ("closed20", "closed30")
    assert found.metadata["recipe.closed.rate"] == ("0.2", "0.3")
    assert "seed" not in found.metadata


def test_another_seed_overlaps_by_chance() -> None:
    a, b = made("closed50", seed=4), made("closed50", seed=5)
    found = diff(a, b)
    both = (a.kind == 1) & (b.kind == 1)
    assert found.overlap["closed"].both == int(both.sum())
    assert found.overlap["closed"].same == int((both & (a.label == b.label)).sum()) < int(both.sum())
    assert found.overlap["closed"].nested == "no"
    assert found.metadata["seed"] == (4, 5)


def test_one_wrong_label_more_is_no_longer_nested() -> None:
    a, b = made("closed20"), made("closed30")
    label, row = a.label.copy(), int(np.flatnonzero(a.kind == 1)[0])
    label[row] = next(c for c in range(60) if c not in (a.label[row], a.true_label[row]))
    overlap = diff(dataclasses.replace(a, label=label), b).overlap["closed"]
    assert (overlap.both - overlap.same, overlap.nested) == (1, "no")


def test_manifests_of_other_data_are_compared_by_record() -> None:
    part = BASE.reordered(np.arange(100)[::-1])
    a, b = made("closed20"), make_manifest(load_recipe("closed20"), part, None, 4)
    found = diff(a, b)
    assert (found.compared, found.only_a, found.only_b) == (100, len(BASE.keys) - 100, 0)
    assert not found.same_columns
    assert found.columns["index"] == found.columns["true_label"] == 0
    assert found.columns["label"] == int((a.label[:100] != b.label[::-1]).sum())
    assert "fingerprints.base" in found.metadata


def test_the_command(tmp_path: Path) -> None:
    for name in ("closed20", "closed30"):
        made(name).write(tmp_path / f"{name}.parquet")
    a, b = str(tmp_path / "closed20.parquet"), str(tmp_path / "closed30.parquet")
    same = CliRunner().invoke(app, ["diff", a, a])
    assert (same.exit_code, "columns: equal" in same.output) == (0, True)
    different = CliRunner().invoke(app, ["diff", a, b, "--json"])
    assert different.exit_code == 1
    content = json.loads(different.output)
    assert content["same_columns"] is False
    assert content["overlap"]["closed"]["nested"] == "A in B"
