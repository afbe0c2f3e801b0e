"""What samples are fitted to, by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from noisebench.analysis.memorisation import memorisation
from noisebench.noise.manifest import KINDS
from noisebench.noise.schema import CLEAN
from tests.analysis.made_up import made_up_log, plain


def test_samples_are_fitted_to_the_nearest_class(tmp_path: Path) -> None:
    for samples in made_up_log(tmp_path):
        for row in memorisation(samples).to_dict("records"):
            rows = [s for s in plain(samples) if KINDS[s.kind] == row["kind"]]
            fitted = [s.label if s.angle_label <= s.angle_nearest else s.nearest for s in rows]
            to_label = [c == s.label for c, s in zip(fitted, rows, strict=True)]
            to_true = [c == s.true_label for c, s in zip(fitted, rows, strict=True)]
            if row["kind"] == "open":
                assert math.isnan(row["to_true"])
                to_true = [False] * len(rows)
            else:
                assert row["to_true"] == sum(to_true) / len(rows)
            other = [not a and not b for a, b in zip(to_label, to_true, strict=True)]
            assert row["samples"] == len(rows)
            assert row["to_label"] == sum(to_label) / len(rows)
            assert row["to_other"] == sum(other) / len(rows)


def test_shares_of_noise_add_up(tmp_path: Path) -> None:
    frame = made_up_log(tmp_path).over_epochs(memorisation)
    noise = frame[frame["kind"] != "clean"]
    assert noise[["to_label", "to_true", "to_other"]].sum(axis=1).tolist() == pytest.approx([1] * 6)


def test_kinds_without_samples_have_no_row(tmp_path: Path) -> None:
    frame = memorisation(made_up_log(tmp_path, [CLEAN] * 7).epoch(0))
    assert frame["kind"].tolist() == ["clean"]
    assert frame["to_label"].tolist() == frame["to_true"].tolist()
