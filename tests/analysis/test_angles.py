"""Histograms of angles, counted by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from noisebench.analysis.angles import angle_histograms
from noisebench.analysis.run_log import RunLog
from noisebench.noise.manifest import KINDS
from tests.analysis.made_up import made_up_log, plain
from tests.analysis.runs import log_epoch, manifest


def test_every_angle_falls_into_its_degree(tmp_path: Path) -> None:
    log = made_up_log(tmp_path)
    frame = log.over_epochs(angle_histograms)
    counted = {
        key: number
        for key, number in frame.set_index(["epoch", "kind", "angle", "degrees"])["samples"].to_dict().items()
        if number
    }
    expected: Counter[tuple[int, str, str, int]] = Counter()
    for samples in log:
        for sample in plain(samples):
            for name in ("label", "true", "nearest"):
                angle = getattr(sample, f"angle_{name}")
                if not math.isnan(angle):
                    expected[samples.epoch, KINDS[sample.kind], name, math.floor(math.degrees(angle))] += 1
    assert counted == expected


def test_all_bins_are_there_and_groups_without_samples_are_not(tmp_path: Path) -> None:
    frame = angle_histograms(made_up_log(tmp_path).epoch(0))
    groups = frame.groupby(["kind", "angle"])["degrees"]
    assert ("open", "true") not in groups.groups
    assert len(groups) == 8
    assert (groups.count() == 180).all()


@pytest.mark.parametrize(("cosine", "degrees"), [(-1.0, 179), (1.0, 0)])
def test_the_last_bin_holds_180_degrees(tmp_path: Path, cosine: float, degrees: int) -> None:
    values = np.full(4, cosine)
    log_epoch(tmp_path, 0, np.arange(4), cosine_label=values, cosine_true=values, cosine_nearest=values)
    frame = angle_histograms(RunLog.open(tmp_path, manifest([0] * 4)).epoch(0))
    assert frame.loc[frame["samples"] > 0, "degrees"].tolist() == [degrees] * 3
