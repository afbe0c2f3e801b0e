"""Norms against blur: images blurred on purpose, bins and ranks by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from noisebench.analysis.quality import norm_by_sharpness, norms_and_sharpness, rank_correlation, sharpness
from noisebench.analysis.run_log import RunLog
from noisebench.data.dataset import NoisyFaces
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import Manifest
from tests.analysis.runs import log_epoch, manifest
from tests.tiny import IDENTITIES, IMAGES, write_faces


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    image = np.random.Generator(np.random.Philox(0)).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
    around = np.pad(grey, 1, mode="reflect")
    laplacian = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * grey
    assert sharpness(image) == pytest.approx(laplacian.var())


def test_blurring_lowers_sharpness() -> None:
    image = np.random.Generator(np.random.Philox(1)).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    blurred = [sharpness(np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)) for sigma in (0.5, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True)


def test_bins_hold_equal_shares_from_blurred_to_sharp() -> None:
    random = np.random.Generator(np.random.Philox(2))
    sharp, norm = random.permutation(20).astype(float), random.random(20)
    frame = norm_by_sharpness(norm, sharp, num_bins=4)
    order = np.argsort(sharp)
    for row, places in zip(frame.itertuples(), np.split(order, 4), strict=True):
        assert row.samples == 5
        assert row.norm_mean == pytest.approx(norm[places].mean())
        assert row.norm_std == pytest.approx(norm[places].std(ddof=1))


def test_fewer_images_than_bins_leave_none_empty() -> None:
    frame = norm_by_sharpness(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 40]))
    assert frame["samples"].tolist() == [1] * 4
    assert frame["norm_mean"].tolist() == [1, 2, 3, 4]
    assert ((frame["sharpness_above"] <= [10, 20, 30, 40]) & (frame["sharpness_up_to"] >= [10, 20, 30, 40])).all()


def test_rank_correlation_by_hand() -> None:
    a, b = np.array([1.0, 2, 2, 5, 9]), np.array([3.0, 1, 4, 4, 8])
    assert rank_correlation(a, b) == pytest.approx(np.corrcoef([1, 2.5, 2.5, 4, 5], [2, 1, 3.5, 3.5, 5])[0, 1])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert np.isnan(rank_correlation(a, np.ones(5)))


def test_images_and_norms_belong_together(tmp_path: Path) -> None:
    base = FaceSet.open(write_faces(tmp_path / "faces"))
    made = manifest([0] * (IDENTITIES * IMAGES), IDENTITIES)
    fingerprints = made.origin.fingerprints.model_copy(update={"base": base.fingerprint})
    columns = made.columns() | {"index": base.keys, "source_index": base.keys}
    columns |= dict.fromkeys(("true_label", "label", "source_label"), base.labels)
    noise = Manifest(**columns, origin=made.origin.model_copy(update={"fingerprints": fingerprints}))
    rows = np.arange(len(noise))
    log_epoch(tmp_path, 0, rows, norm=rows + 1.0)
    frame = norms_and_sharpness(RunLog.open(tmp_path, noise).epoch(0), NoisyFaces(base, None, noise), num_samples=9)
    assert frame["row"].is_monotonic_increasing
    assert frame["row"].nunique() == 9
    assert frame["norm"].tolist() == (frame["row"] + 1).tolist()
    assert frame["kind"].tolist() == ["clean"] * 9
    assert frame["sharpness"].tolist() == [sharpness(base.image(int(base.keys[row]))) for row in frame["row"]]
