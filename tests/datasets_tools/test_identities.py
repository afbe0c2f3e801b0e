"""Identities split and merged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets_tools.audit import audit
from datasets_tools.identities import draw
from datasets_tools.make_noise import make_manifest
from noisebench.errors import UserError
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import IdentityNoise, NoiseRecipe, load_recipe
from tests.fabricated import fabricated_set

BASE = fabricated_set(60)
SIZES = np.bincount(BASE.labels)


def made(seed: int = 0, **noise: object) -> Manifest:
    return make_manifest(NoiseRecipe.model_validate({"name": "x", "identities": noise}), BASE, None, seed)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_split_identities_keep_one_part_and_give_the_rest_new_labels(parts: int) -> None:
    manifest = made(split=0.4, parts=parts)
    assert manifest.num_train_classes == 60 + 24 * (parts - 1)
    is_split = manifest.images_per_class()["closed"] > 0
    assert is_split.sum() == 24
    seen: set[int] = set()
    for label in range(60):
        own = manifest.label[BASE.labels == label]
        new = own[own != label]
        assert len(new) == (SIZES[label] * (parts - 1) // parts if is_split[label] else 0)
        assert not seen & set(new)
        seen |= set(new)
        if is_split[label]:
            first = new.min() - (new.min() - 60) % (parts - 1)
            assert (first >= 60) & (new < first + parts - 1).all()


def test_merged_identities_bear_the_label_of_one_that_keeps_its_own() -> None:
    manifest = made(merged=0.25)
    closed = manifest.images_per_class()["closed"]
    merged = np.flatnonzero(closed)
    assert len(merged) == 15
    assert manifest.num_train_classes == 60
    np.testing.assert_array_equal(closed[merged], SIZES[merged])
    for label in merged:
        (host,) = set(manifest.label[BASE.labels == label].tolist())
        assert host not in merged


def test_splits_and_merges_hit_different_identities() -> None:
    manifest = made(split=0.5, merged=0.5)
    closed = manifest.images_per_class()["closed"]
    assert sorted(set(np.flatnonzero(closed == SIZES))) == sorted(np.flatnonzero(draw(
        IdentityNoise(split="0.5", merged="0.5"), 60, 0).host >= 0))  # fmt: skip
    assert (closed == SIZES).sum() == 30
    assert ((closed == SIZES // 2) & (closed < SIZES)).sum() == 30


def test_a_higher_share_splits_the_same_identities_and_more() -> None:
    lower, higher = made(split=0.2), made(split=0.3)
    noisy = lower.kind == 1
    np.testing.assert_array_equal(higher.label[noisy], lower.label[noisy])
    assert (higher.kind == 1).sum() > noisy.sum()


def test_a_manifest_with_new_labels_is_read_again_and_passes_its_audit(tmp_path: Path) -> None:
    manifest = make_manifest(load_recipe("conflict"), BASE, None, seed=4)
    assert manifest.num_train_classes == 60 + 39
    assert manifest.label.max() == 98
    manifest.write(tmp_path / "conflict.parquet")
    again = Manifest.read(tmp_path / "conflict.parquet")
    assert again.num_train_classes == 99
    again.check_base(BASE)
    assert audit(again, BASE).passed


def test_wf12m_conflict_has_the_classes_its_name_is_known_for() -> None:
    assert draw(load_recipe("conflict").identities, 617_970, 0).num_new == 400_000


def test_what_cannot_be_done_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^all 60 identities are to be merged"):
        made(merged=1)
    with pytest.raises(UserError, match="new labels, expected at most"):
        draw(IdentityNoise(split="1", parts=100), 1 << 20, 0)
