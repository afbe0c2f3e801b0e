"""Figures: the plotted lines and points are the data, files are written, and nothing global changes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from noisebench.analysis.figures import (
    TRUE_CLASS,
    accuracy_by_method,
    angle_densities,
    angle_distributions,
    write_figure,
)
from noisebench.analysis.tables import comparisons
from noisebench.errors import UserError
from noisebench.noise.manifest import Manifest
from tests.analysis.runs import log_epoch, manifest, record

DEGREES = np.arange(180) + 0.5
NUM_ROWS = 3000


@pytest.fixture(autouse=True)
def _no_warnings_and_no_global_changes() -> Iterator[None]:
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert dict(mpl.rcParams) == before


@pytest.fixture
def noise() -> Manifest:
    return manifest([0, 1, 2] * (NUM_ROWS // 3))


def log(folder: Path, epoch: int, means: tuple[float, float, float, float]) -> None:
    """An epoch: angles of clean, closed, open and closed (to the true class), evenly 10 degrees around their means."""
    kind = np.arange(NUM_ROWS) % 3
    around = np.repeat(np.linspace(-9.99, 9.99, NUM_ROWS // 3), 3)
    label = np.array(means[:3])[kind] + around
    true = np.where(kind == 1, means[3] + around, label)
    log_epoch(
        folder,
        epoch,
        np.arange(NUM_ROWS),
        cosine_label=np.cos(np.radians(label)),
        cosine_true=np.where(kind == 2, np.nan, np.cos(np.radians(true))),
    )


def test_densities_have_area_one_and_the_mean_and_width_of_the_angles(tmp_path: Path, noise: Manifest) -> None:
    means = {"clean": 40.0, "closed": 80.0, "open": 95.0, TRUE_CLASS: 60.0}
    log(tmp_path, 0, (40, 80, 95, 60))
    densities = angle_densities(tmp_path, noise, 0)
    assert list(densities) == list(means)
    for name, density in densities.items():
        assert density.sum() == pytest.approx(1)
        mean = (density * DEGREES).sum()
        assert mean == pytest.approx(means[name], abs=0.02)
        variance = (density * (DEGREES - mean) ** 2).sum()
        assert variance == pytest.approx((20**2 - 1) / 12 + 2.5**2, rel=0.01)  # of 20 equal bins, and of the smoothing


def test_smoothing_loses_nothing_at_zero_degrees(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(10), cosine_label=np.ones(10))
    densities = angle_densities(tmp_path, manifest([0] * 10), 0)
    assert list(densities) == ["clean"]
    assert densities["clean"].sum() == pytest.approx(1)


def test_ridges_show_the_densities(tmp_path: Path, noise: Manifest) -> None:
    for epoch in range(9):
        log(tmp_path / "arcface", epoch, (80 - 4 * epoch, 85, 95, 80 - 2 * epoch))
        log(tmp_path / "softmax", epoch, (80 - 4 * epoch, 85 - 4 * epoch, 95, 85))
    figure = angle_distributions({"arcface": tmp_path / "arcface", "softmax": tmp_path / "softmax"}, noise)
    assert [panel.get_title() for panel in figure.axes] == ["arcface", "softmax"]
    ticks = figure.axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == ["epoch 0", "epoch 2", "epoch 4", "epoch 6", "epoch 8"]
    expected = angle_densities(tmp_path / "softmax", noise, 8)
    last_row = [line for line in figure.axes[1].get_lines() if line.get_label() in expected][-len(expected) :]
    heights = {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in last_row}
    assert np.nanmax([np.nanmax(height) for height in heights.values()]) == pytest.approx(0.92)
    peak = max(density.max() for density in expected.values())
    for name, height in heights.items():
        drawn = np.isfinite(height)
        np.testing.assert_allclose(height[drawn], 0.92 * expected[name][drawn] / peak)
        assert expected[name][~drawn].max() < 0.011 * peak
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["clean", "closed-set noise", "open-set noise", TRUE_CLASS]


def test_what_is_not_there_is_not_in_the_legend(tmp_path: Path) -> None:
    log_epoch(tmp_path, 0, np.arange(10))
    figure = angle_distributions({"arcface": tmp_path}, manifest([0] * 10))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["clean"]


def test_only_epochs_that_all_runs_logged_are_drawn(tmp_path: Path, noise: Manifest) -> None:
    for name, epochs in (("arcface", (0, 1, 2)), ("softmax", (1, 2, 3)), ("cosface", (7,))):
        for epoch in epochs:
            log(tmp_path / name, epoch, (40, 80, 95, 60))
    figure = angle_distributions({name: tmp_path / name for name in ("arcface", "softmax")}, noise)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["epoch 1", "epoch 2"]
    with pytest.raises(UserError, match="arcface, cosface have no epoch in common"):
        angle_distributions({name: tmp_path / name for name in ("arcface", "cosface")}, noise)
    with pytest.raises(UserError, match="no run"):
        angle_distributions({}, noise)


def test_points_and_bars_are_means_and_deviations() -> None:
    runs = [record(seed=seed, accuracy=accuracy) for seed, accuracy in ((0, 0.75), (1, 0.875), (2, 0.625))]
    runs += [record(method="softmax", accuracy=0.5), record(noise="clean", accuracy=0.9)]
    (panel,) = accuracy_by_method(comparisons(runs)).axes
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["arcface", "softmax"]
    drawn = {}
    for container in panel.containers:
        assert isinstance(container, ErrorbarContainer)
        points, _, bars = container.lines
        assert points is not None
        segments = bars[0].get_segments()
        drawn[container.get_label()] = [
            (x, round(y), end - start)
            for (x, y), ((start, _), (end, _)) in zip(np.asarray(points.get_xydata()).tolist(), segments, strict=True)
        ]
    assert drawn == {"closed30": [(75.0, 0, 25.0), (50.0, 1, 0.0)], "clean": [(90.0, 0, 0.0)]}


def test_nothing_finished_is_said() -> None:
    with pytest.raises(UserError, match="no finished run"):
        accuracy_by_method(comparisons([record(status="failed", metrics={})]))


def test_figures_are_written_as_png_and_svg(tmp_path: Path, noise: Manifest) -> None:
    log(tmp_path, 0, (40, 80, 95, 60))
    for name, figure in {
        "angles": angle_distributions({"arcface": tmp_path}, noise),
        "accuracy": accuracy_by_method(comparisons([record(), record(method="softmax")])),
    }.items():
        png, svg = write_figure(figure, tmp_path / "figures" / name)
        assert (png.name, svg.name) == (f"{name}.png", f"{name}.svg")
        image = cv2.imread(str(png))
        assert image is not None
        width, height = figure.get_size_inches()
        assert image.shape[:2] == pytest.approx((150 * height, 150 * width), abs=1)
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
        assert ElementTree.parse(svg).getroot().tag.endswith("svg")


def test_an_svg_is_the_same_each_time(tmp_path: Path) -> None:
    tables = comparisons([record(), record(method="softmax", accuracy=0.8)])
    first, second = (write_figure(accuracy_by_method(tables), tmp_path / name)[1].read_bytes() for name in "ab")
    assert first == second
