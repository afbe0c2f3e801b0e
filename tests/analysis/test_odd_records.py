"""Results as they come, but seldom: noises of one rate, names with a path in them, published numbers in other forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noisebench.analysis.figures import accuracy_over_rate
from noisebench.analysis.outcome import write_tables
from noisebench.analysis.published import PublishedNumber
from noisebench.analysis.table_formats import to_markdown
from noisebench.analysis.tables import comparisons, overviews
from noisebench.bench.record import DataSource
from noisebench.bench.store import Run
from tests.analysis.runs import record


def test_noises_of_one_rate_and_one_mean_stand_in_one_figure() -> None:
    """One seed has no deviation, two have: nothing may depend on which is the larger."""
    runs = [record(noise=noise, seed=seed) for noise, seed in (("shut30", 0), ("shut30", 1), ("closed30", 0))]
    figure = accuracy_over_rate(overviews(runs, "faces"), {"shut30": 0.3, "closed30": 0.3, "clean": 0.0})
    (panel,) = figure.axes
    assert np.asarray(panel.lines[0].get_xdata()).tolist() == [30.0, 30.0]


@pytest.mark.parametrize(
    ("metric", "value", "printed", "ours"),
    [
        ("rank-1 (fraction)", "0.998", "99.80", "rank-1"),
        ("rank-1 (fraction)", "0.998+", "99.80+", "rank-1"),
        ("rank-1", "99.8+", "99.8+", "rank-1"),
        ("TAR@FAR=1e-4", "90", "90", "TAR@FAR=0.0001"),
        ("TPR@FPR=.1%", "90", "90", "TAR@FAR=0.001"),
        ("TAR@FAR=..", "90", "90", None),
    ],
)
def test_published_numbers_in_all_their_forms(metric: str, value: str, printed: str, ours: str | None) -> None:
    number = PublishedNumber("ArcFace", "r50", "MS1MV2", "", "", "LFW", metric, value, "a paper", "")
    assert (number.percent, number.our_metric) == (printed, ours)


def test_names_in_records_do_not_lead_out_of_the_folder_of_tables(tmp_path: Path) -> None:
    results = tmp_path / "a" / "results"
    data = DataSource(name="../faces", fingerprint="d" * 64, num_images=10, num_classes=5)
    runs = [Run(results, record(suite="../synth", noise=noise, data=data)) for noise in ("x/../../../evil", "clean")]
    write_tables(runs, results)
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert written
    assert {file.parent.parent for file in written} == {results / "tables"}


def test_what_is_no_number_is_never_the_best_of_its_column() -> None:
    accuracies = {"adaface": float("nan"), "arcface": 0.9, "cosface": 0.8, "softmax": 0.7}
    runs = [
        record(method=method, seed=seed, accuracy=accuracy + seed / 1000)
        for method, accuracy in accuracies.items()
        for seed in (0, 1, 2)
    ]
    (table,) = comparisons(runs)
    rows = [line for line in to_markdown([table]).splitlines() if line.startswith(("| adaface", "| arcface"))]
    assert "nan" in rows[0]
    assert "*" not in rows[0].split("|")[2]
    assert "**90.10**" in rows[1]
    assert {test.against for (_, column), test in table.tests.items() if column.metric == "accuracy"} == {"arcface"}
