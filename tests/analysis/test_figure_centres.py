"""Figures of centres, sub-centres and norms: what is drawn is what the tables hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from noisebench.analysis import figures
from noisebench.analysis.figures import NothingToDrawError
from noisebench.analysis.figures.lines import line_of


@pytest.fixture(autouse=True)
def _no_warnings_and_no_global_changes() -> Iterator[None]:
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert dict(mpl.rcParams) == before


def by_epoch(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"epoch": range(len(next(iter(columns.values())))), **columns})


def test_a_line_is_the_mean_of_the_runs_between_the_least_and_the_greatest() -> None:
    runs = [
        by_epoch(share=[0.1, 0.2, np.nan]),
        by_epoch(share=[0.3, np.nan, np.nan]),
        by_epoch(share=[0.8, 0.4, np.nan]),
    ]
    line = line_of(runs, "share", 100)
    np.testing.assert_allclose(line["mean"], [40, 30, np.nan])
    np.testing.assert_allclose(line["min"], [10, 20, np.nan])
    np.testing.assert_allclose(line["max"], [80, 40, np.nan])


def test_only_a_method_of_several_runs_has_a_band() -> None:
    one, two = [by_epoch(loss=[3.0, 2.0])], [by_epoch(loss=[5.0, 4.0]), by_epoch(loss=[6.0, 2.0])]
    figure = figures.loss_curves({"alone": one, "twice": two})
    (panel,) = figure.axes
    assert [np.asarray(line.get_ydata()).tolist() for line in panel.get_lines()] == [[3, 2], [5.5, 3]]
    (band,) = panel.collections
    corners = np.asarray(band.get_paths()[0].vertices)
    assert {(x, y) for x, y in corners.tolist()} == {(0, 5), (0, 6), (1, 2), (1, 4)}
    assert panel.get_yscale() == "linear"
    wide = figures.loss_curves({"far": [by_epoch(loss=[300.0, 2.0])]})
    assert wide.axes[0].get_yscale() == "log"
    with pytest.raises(NothingToDrawError):
        figures.loss_curves({"none": [by_epoch(loss=[])]})


def test_the_true_noise_rate_stands_beside_the_estimates() -> None:
    table = by_epoch(true_rate=[0.3, 0.3], twice_left=[0.1, 0.5], below_valley=[0.0, 0.25])
    figure = figures.noise_rate_curves({"arcface": [table]})
    drawn = [[np.asarray(line.get_ydata()).tolist() for line in panel.get_lines()] for panel in figure.axes]
    assert drawn == [[[10, 50], [30, 30]], [[0, 25], [30, 30]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["arcface", "true noise rate"]
    with pytest.raises(NothingToDrawError):
        figures.noise_rate_curves({})


def test_sub_centre_shares_are_stacked_to_the_whole() -> None:
    shares = {"dominant_clean": 0.5, "dominant_noisy": 0.125, "other_clean": 0.125, "other_noisy": 0.25}
    table = by_epoch(**{name: [share] * 3 for name, share in shares.items()})
    (panel,) = figures.sub_centre_shares({"subcenter_arcface": [table]}).axes
    heights = []
    for area in panel.collections:
        assert isinstance(area, PolyCollection)
        heights.append(np.asarray(area.get_paths()[0].vertices)[:, 1])
    assert [(part.min(), part.max()) for part in heights] == [(0, 50), (50, 62.5), (62.5, 75), (75, 100)]
    with pytest.raises(NothingToDrawError, match="sub-centres"):
        figures.sub_centre_shares({"arcface": []})


def test_centres_beside_the_truth_show_quantiles_of_the_classes_of_all_runs() -> None:
    random = np.random.Generator(np.random.Philox(0))
    runs = [pd.DataFrame({"angle": random.random(40)}) for _ in range(2)]
    runs[0].loc[3, "angle"] = np.nan
    figure = figures.centres_beside_truth({"clean run": {"arcface": runs, "nothing": []}, "clean means": {}})
    (panel,) = figure.axes
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["arcface"]
    values = np.degrees(pd.concat(runs)["angle"].dropna())
    drawn = [np.asarray(line.get_xdata(), float).tolist() for line in panel.get_lines()]
    expected = [[values.quantile(low) for low in quantiles] for quantiles in ((0.05, 0.95), (0.25, 0.75), (0.5,))]
    for found, wanted in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(found, wanted)
    with pytest.raises(NothingToDrawError):
        figures.centres_beside_truth({"clean run": {}})


def test_drift_by_class_size_is_that_of_the_last_epoch() -> None:
    rows = [(epoch, "first", images, epoch + len(images)) for epoch in (0, 1) for images in ("all", "5-9", "10-19")]
    table = pd.DataFrame(rows, columns=["epoch", "since", "images", "mean"])
    panel = figures.centre_drift({"arcface": [table]}).axes[-1]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["5-9", "10-19"]
    np.testing.assert_allclose(np.asarray(panel.get_lines()[0].get_ydata(), float), np.degrees([4, 6]))


def test_norms_are_drawn_over_the_rank_of_sharpness() -> None:
    sharpness = np.array([40.0, 10, 30, 20])
    table = pd.DataFrame({"norm": [4.0, 1, 3, 2], "sharpness": sharpness})
    blind = pd.DataFrame({"norm": [1.0], "sharpness": [np.nan]})
    (panel,) = figures.norms_by_blur({"adaface": table, "blind": blind}).axes
    images = panel.get_lines()[0]
    assert np.asarray(images.get_xdata()).tolist() == [87.5, 12.5, 62.5, 37.5]
    assert np.asarray(images.get_ydata()).tolist() == [4, 1, 3, 2]
    assert [text.get_text() for text in panel.texts] == ["rank correlation +1.00"]
    with pytest.raises(NothingToDrawError, match="analyze RUN --data"):
        figures.norms_by_blur({"blind": blind})
