"""Curves over training and over the noise rate: the lines drawn are the numbers of the tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from noisebench.analysis import figures
from noisebench.analysis.centre_log import CentreLog
from noisebench.analysis.drawings import file_name, write_all_figures
from noisebench.analysis.drift import drift_by_epoch
from noisebench.analysis.figures import NothingToDrawError
from noisebench.analysis.figures.style import line_styles
from noisebench.analysis.statistics import interval_of, summarise
from noisebench.analysis.tables import comparisons, overviews
from noisebench.analysis.whole_run import analyse
from noisebench.bench.store import Run
from tests.analysis.made_up import NUM_CLASSES, made_up_run
from tests.analysis.runs import metrics, record

MISCHIEF = ("_hidden", r"$\frac$")


@pytest.fixture(autouse=True)
def _no_warnings_and_no_global_changes() -> Iterator[None]:
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = made_up_run(tmp_path_factory.mktemp("run"))
    for epoch in range(3):
        centres = np.random.Generator(np.random.Philox(epoch)).standard_normal((NUM_CLASSES, 4))
        CentreLog(made.folder).append(epoch, centres)
    return made


@pytest.fixture(scope="module")
def tables(run: Run) -> dict[str, pd.DataFrame]:
    return analyse(run).tables


def lines(panel: Axes) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), float).tolist() for line in panel.get_lines()]


def panels(figure: Figure) -> dict[str, Axes]:
    return {panel.get_title().replace("\n", " "): panel for panel in figure.axes if panel.get_title()}


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_memorisation_is_that_of_the_table(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["memorisation"]
    figure = figures.memorisation_curves({name: [table] for name in MISCHIEF})
    assert legend(figure) == list(MISCHIEF)
    drawn = panels(figure)
    assert len(drawn) == 4
    closed = 100 * table.loc[table["kind"] == "closed", "to_true"]
    assert lines(drawn["closed-set noise: fitted to the true class"]) == [closed.tolist()] * 2
    figure.draw_without_rendering()


def test_corrections_are_those_of_the_table_and_who_corrects_nothing_is_left_out(
    tables: dict[str, pd.DataFrame],
) -> None:
    table = tables["corrections"]
    figure = figures.correction_curves({"corrects": [table], "does not": [table.assign(corrected=0)]})
    assert legend(figure) == ["corrects"]
    assert lines(panels(figure)["clean samples: harmed"]) == [(100 * table["clean_harmed"]).tolist()]
    with pytest.raises(NothingToDrawError, match="corrections"):
        figures.correction_curves({"does not": [table.assign(corrected=0)]})


def test_detection_is_that_of_the_table(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["detection"]
    chosen = table[(table["noise"] == "all") & (table["score"] == "angle_gap")]
    drawn = panels(figures.detection_by_epoch({"arcface": [table]}))
    assert lines(drawn["angle gap"]) == [(100 * chosen["auc"]).tolist()]
    curves = tables["detection_curves"]
    roc, precision, area = figures.detection_curves(curves, table).axes
    last = curves[(curves["epoch"] == 2) & (curves["score"] == "angle")]
    np.testing.assert_allclose(lines(roc)[0], 100 * last["tpr"])
    np.testing.assert_allclose(np.asarray(roc.get_lines()[0].get_xdata(), float), 100 * last["fpr"])
    assert lines(area)[1] == (100 * chosen["auc"]).tolist()
    assert [len(panel.get_lines()) for panel in (roc, precision, area)] == [5, 4, 4]
    with pytest.raises(NothingToDrawError, match="detection"):
        figures.detection_curves(curves.iloc[:0], table)


def test_drift_is_the_mean_of_all_classes_in_degrees(run: Run) -> None:
    table = drift_by_epoch(run.folder, run.manifest())
    drawn = panels(figures.centre_drift({"arcface": [table]}))
    for title, since, count in (("since the first epoch", "first", 3), ("since the epoch before", "previous", 2)):
        means = table.loc[(table["since"] == since) & (table["images"] == "all"), "mean"]
        assert len(means) == count
        np.testing.assert_allclose(lines(drawn[title])[0], np.degrees(means.to_numpy(float)))


def test_every_number_of_a_method_has_a_panel() -> None:
    state = pd.DataFrame({"step": [0, 10, 20], "phi": [0.1, 0.2, 0.3], "m1": [0.5, 0.4, 0.3], "none": [np.nan] * 3})
    figure = figures.state_curves(state)
    drawn = panels(figure)
    assert list(drawn) == ["phi", "m1"]
    assert lines(drawn["m1"]) == [[0.5, 0.4, 0.3]]
    assert not figure.legends


def test_accuracy_over_the_rate_has_means_and_intervals() -> None:
    accuracies = {"clean": (0.9, 0.92), "closed10": (0.8, 0.83), "closed20": (0.7, 0.75)}
    runs = [
        record(noise=noise, seed=seed, accuracy=accuracy, manifest_checksum=noise)
        for noise, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]
    rates = {"clean": 0.0, "closed10": 0.1, "closed20": 0.2}
    (panel,) = figures.accuracy_over_rate(overviews(runs, "faces"), rates).axes
    (drawn,) = panel.containers
    assert isinstance(drawn, ErrorbarContainer)
    points, _, bars = drawn.lines
    assert points is not None
    np.testing.assert_allclose(np.asarray(points.get_xydata(), float), [(0, 91), (10, 81.5), (20, 72.5)])
    for (start, end), values in zip(bars[0].get_segments(), accuracies.values(), strict=True):
        interval = interval_of(summarise(values))
        assert interval is not None
        np.testing.assert_allclose((start[1], end[1]), (100 * interval.low, 100 * interval.high))
    low, high = panel.get_ylim()
    assert 60 < low < 72.5
    assert 91 < high < 100
    with pytest.raises(NothingToDrawError, match="noise rate"):
        figures.accuracy_over_rate(overviews(runs, "faces"), {"open10": 0.1})


def test_a_test_set_without_accuracy_shows_its_main_metric() -> None:
    ijb = metrics(0, None).model_copy(update={"accuracy": None, "tar_at_far": {"0.0001": 0.75}})
    (panel,) = figures.accuracy_by_method(comparisons([record(metrics={"ijbc": ijb})])).axes
    assert panel.get_title() == "ijbc, TAR@FAR=0.0001"
    (drawn,) = panel.containers
    assert isinstance(drawn, ErrorbarContainer)
    assert drawn.lines[0] is not None
    assert np.asarray(drawn.lines[0].get_xdata(), float).tolist() == [75]


def test_no_two_of_32_lines_are_drawn_alike() -> None:
    styles = line_styles(str(number) for number in range(32)).values()
    assert len({(style["color"], str(style["linestyle"])) for style in styles}) == 32
    assert len({(style["color"], style["marker"]) for style in styles}) == 32


def test_figures_of_a_results_folder_are_written_and_names_stay_below_it(tmp_path: Path) -> None:
    made = made_up_run(tmp_path, method="arcface")
    told: list[str] = []
    files = [path.name for path in write_all_figures([made], tmp_path, told.append)]
    under_noise = ("loss", "angles", "memorisation", "corrections", "detection", "noise-rate")
    names = ["accuracy", *(f"{name}-closed30" for name in under_noise), "detection-curves-closed30-arcface"]
    assert files == [f"{name}.{ending}" for name in names for ending in ("png", "svg")]
    assert told == []
    assert file_name("../../etc", "a/b", "{}") == "_.._etc-a_b-__"
