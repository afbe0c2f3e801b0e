from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from datasets_tools.app import app
from datasets_tools.audit import audit
from datasets_tools.confusion import Spread, confusion
from datasets_tools.make_noise import make_manifest
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe
from tests.fabricated import fabricated_set

BASE = fabricated_set(12)


@pytest.fixture
def manifest() -> Manifest:
    return make_manifest(load_recipe("closed50"), BASE, None, seed=4)


def test_pairs_counted_one_by_one(manifest: Manifest) -> None:
    rows = [row for row in range(len(manifest)) if manifest.kind[row] == 1]
    pairs = Counter((int(manifest.true_label[row]), int(manifest.label[row])) for row in rows)
    found = confusion(manifest, num_most_frequent=3)
    assert found is not None
    assert found.num_pairs == len(pairs)
    assert list(found.most_frequent) == [
        (*pair, images) for pair, images in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:3]
    ]
    favourites = []
    for label in {true_label for true_label, _ in pairs}:
        images = [count for (true_label, _), count in pairs.items() if true_label == label]
        favourites.append(max(images) / sum(images))
    assert found.num_classes == len(favourites)
    assert found.favourite == pytest.approx((min(favourites), np.median(favourites), max(favourites)))


def test_a_class_always_taken_for_the_same_other_one(manifest: Manifest) -> None:
    label = np.where(manifest.kind == 1, (manifest.true_label + 1) % 12, manifest.label).astype(np.int32)
    found = confusion(dataclasses.replace(manifest, label=label))
    assert found is not None
    assert (found.num_pairs, found.favourite) == (found.num_classes, Spread(1, 1, 1))


def test_nothing_is_confused_without_closed_set_noise() -> None:
    clean = make_manifest(load_recipe("clean"), BASE, None, seed=4)
    assert confusion(clean) is None
    assert "confused" not in str(audit(clean))
    assert audit(clean).to_json()["confusion"] is None


def test_the_audit_prints_it(tmp_path: Path, manifest: Manifest) -> None:
    found = confusion(manifest)
    assert found is not None
    top = found.most_frequent[0]
    text = str(audit(manifest))
    assert f"confused  {found.num_pairs} pairs of classes, the most frequent: {top.true_label} as {top.label} (" in text
    manifest.write(tmp_path / "m.parquet")
    result = CliRunner().invoke(app, ["audit", str(tmp_path / "m.parquet"), "--json"])
    content = json.loads(result.output)
    assert (result.exit_code, content["passed"], content["noise"]) == (0, True, "closed50")
    assert content["confusion"]["most_frequent"][0] == top._asdict()
    by_class = [(manifest.kind[BASE.labels == label] == 1).mean() for label in range(12)]
    assert content["rates"]["closed"]["by_class"] == pytest.approx(
        {"min": min(by_class), "median": np.median(by_class), "max": max(by_class)}
    )
