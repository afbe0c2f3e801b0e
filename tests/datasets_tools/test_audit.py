from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from datasets_tools.audit import audit
from datasets_tools.make_noise import make_manifest
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe
from tests.fabricated import fabricated_set

BASE = fabricated_set(60)
OUTLIERS = fabricated_set(100, first_key=5000, folder="outliers")


@pytest.fixture
def manifest() -> Manifest:
    return make_manifest(load_recipe("c20o20"), BASE, OUTLIERS, seed=4)


@pytest.mark.parametrize("name", ["clean", "closed30", "open20", "c20o20"])
def test_a_manifest_as_it_was_made_passes(name: str, tmp_path: Path) -> None:
    make_manifest(load_recipe(name), BASE, OUTLIERS, seed=4).write(tmp_path / "m.parquet")
    read = Manifest.read(tmp_path / "m.parquet")
    for base, outliers in [(None, None), (BASE, None), (BASE, OUTLIERS)]:
        report = audit(read, base, outliers)
        assert report.passed
        assert str(report).endswith("no difference")


def test_the_report_shows_the_realised_rates(manifest: Manifest) -> None:
    text = str(audit(manifest, BASE, OUTLIERS))
    n, closed = len(BASE.keys), int((manifest.kind == 1).sum())
    assert "c20o20, seed 4" in text
    assert manifest.checksum in text
    assert "fabricated, outliers" in text
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["closed"])
    by_class = [(manifest.kind[BASE.labels == label] == 1).mean() for label in range(60)]
    spread = [f"{value:.2%}" for value in (min(by_class), np.median(by_class), max(by_class))]
    assert row == ["closed", str(closed), str(closed), f"{closed / n:.4%}", *spread]


def test_another_wrong_label_is_found(manifest: Manifest) -> None:
    label = manifest.label.copy()
    row = int(np.flatnonzero(manifest.kind == 1)[2])
    label[row] = next(c for c in range(60) if c not in (label[row], BASE.labels[row]))
    report = audit(dataclasses.replace(manifest, label=label))
    assert report.differences == (
        f"column 'label' differs in 1 rows, first in row {row} (record {BASE.keys[row]}): {label[row]}, "
        f"but the recipe makes {manifest.label[row]}",
    )
    assert "DIFFERS: column 'label'" in str(report)
    assert "no difference" not in str(report)


def test_a_missing_noisy_image_is_found_in_counts_and_rows(manifest: Manifest) -> None:
    row = int(np.flatnonzero(manifest.kind == 1)[0])
    kind, label = manifest.kind.copy(), manifest.label.copy()
    kind[row], label[row] = 0, BASE.labels[row]
    differences = audit(dataclasses.replace(manifest, kind=kind, label=label)).differences
    closed = int((manifest.kind == 1).sum())
    assert (
        f"closed images: the recipe makes {closed}, the manifest asks for {closed} and has {closed - 1}" in differences
    )
    assert any(f"row {row} " in line and "clean, but the recipe makes closed" in line for line in differences)


def test_another_seed_or_recipe_is_found(manifest: Manifest) -> None:
    for change in ({"seed": 5}, {"recipe": load_recipe("c30o10")}):
        assert not audit(dataclasses.replace(manifest, origin=manifest.origin.model_copy(update=change))).passed


def test_exchanged_outliers_are_found_where_the_outlier_set_is_given(manifest: Manifest) -> None:
    first, second = np.flatnonzero(manifest.kind == 2)[:2]
    source_index = manifest.source_index.copy()
    source_index[[first, second]] = source_index[[second, first]]
    exchanged = dataclasses.replace(manifest, source_index=source_index)
    assert audit(exchanged, BASE).passed
    (difference,) = audit(exchanged, BASE, OUTLIERS).differences
    assert difference.startswith(f"column 'source_index' differs in 2 rows, first in row {first} ")


def test_other_data_is_a_difference_not_a_crash(manifest: Manifest) -> None:
    other = fabricated_set(61)
    for base, outliers in [(other, None), (BASE, other)]:
        (difference,) = audit(manifest, base, outliers).differences
        assert other.fingerprint in difference
