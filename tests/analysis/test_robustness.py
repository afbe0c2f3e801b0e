"""Area under accuracy and drop against clean, worked by hand over made-up runs."""

from __future__ import annotations

import numpy as np
import pytest

from noisebench.analysis.robustness import DROP, area_under, robustness, series_name, series_of
from noisebench.analysis.significance import Column
from noisebench.analysis.statistics import Summary
from noisebench.analysis.table_formats import marks_of, to_markdown
from noisebench.bench.record import RunRecord
from noisebench.noise.per_batch import BatchNoise
from tests.analysis.runs import record

AREA = "area under accuracy"


def run(noise: str, rate: float, accuracy: float, method: str = "arcface", seed: int = 0) -> RunRecord:
    noisy = round(1000 * rate)
    counts = {"clean": 1000 - noisy, "closed": noisy, "open": 0}
    return record(
        noise=noise, method=method, seed=seed, accuracy=accuracy, noise_counts=counts, manifest_checksum=noise
    )


def test_the_area_is_the_integral_of_the_line_through_the_points() -> None:
    # Between 0 and 0.1: 0.1 x 0.85; between 0.1 and 0.3: 0.2 x 0.6; over a range of 0.3.
    assert area_under({0.0: 0.9, 0.3: 0.4, 0.1: 0.8}) == pytest.approx((0.085 + 0.12) / 0.3)
    rates, accuracies = [0.0, 0.2, 0.25, 0.5], [0.9, 0.8, 0.5, 0.1]
    fine = np.linspace(0, 0.5, 1_000_001)
    assert area_under(dict(zip(rates, accuracies, strict=True))) == pytest.approx(
        np.interp(fine, rates, accuracies).mean(), abs=1e-6
    )


def test_area_and_drop_seed_by_seed() -> None:
    runs = [run("clean", 0, 1.0), run("closed20", 0.2, 0.75), run("closed40", 0.4, 0.5)]
    runs += [run("clean", 0, 0.75, seed=1), run("closed20", 0.2, 0.75, seed=1), run("closed40", 0.4, 0.75, seed=1)]
    runs += [run("closed20", 0.2, 0.5, seed=2)]  # no clean run of this seed, nor one at 40 %
    (table,) = robustness(runs, "faces")
    assert table.title == "synth, faces, faces robustness"
    assert table.headings == (f"{AREA}, closed, 0 to 40 %", "drop at closed20", "drop at closed40")
    expected = {
        ("arcface", Column("closed", "faces", AREA)): Summary(0.75, 0, 2),
        ("arcface", Column("closed20", "faces", DROP)): Summary(0.125, 0.25 / 2**0.5, 2),
        ("arcface", Column("closed40", "faces", DROP)): Summary(0.25, 0.5 / 2**0.5, 2),
    }
    assert table.cells.keys() == expected.keys()
    for key, cell in table.cells.items():
        assert cell == pytest.approx(expected[key])


def test_the_least_drop_and_the_greatest_area_are_the_best() -> None:
    runs = []
    for method, drop in (("arcface", 0.1), ("cosface", 0.3), ("softmax", 0.2)):
        runs += [run("clean", 0, 0.9, method), run("closed20", 0.2, 0.9 - drop, method)]
        runs += [run("closed40", 0.4, 0.9 - drop, method)]
    (table,) = robustness(runs, "faces")
    ranks = {(method, column.metric): mark.rank for (method, column), mark in marks_of(table).items()}
    assert {key: rank for key, rank in ranks.items() if key[1] == DROP} == {
        ("arcface", DROP): 0,
        ("softmax", DROP): 1,
        ("cosface", DROP): None,
    }
    assert ranks["arcface", AREA] == 0
    assert "| arcface | **82.50**" in to_markdown([table])  # (85 + 80) / 2


def test_a_method_that_misses_a_rate_has_no_area() -> None:
    runs = [run("clean", 0, 0.9), run("closed20", 0.2, 0.8), run("closed20", 0.2, 0.7, "softmax")]
    (table,) = robustness(runs, "faces")
    assert {method for method, _ in table.cells} == {"arcface"}


def test_series_of_two_noises_have_an_area_and_every_noise_has_its_drop() -> None:
    runs = [run("clean", 0, 0.9), run("closed20", 0.2, 0.8), run("closed40", 0.4, 0.6), run("open20", 0.2, 0.8)]
    runs += [run("c10o30", 0.4, 0.7), run("c30o10", 0.4, 0.6)]
    (table,) = robustness(runs, "faces")
    drops = tuple(f"drop at {noise}" for noise in ("closed20", "closed40", "open20", "c10o30", "c30o10"))
    assert table.headings == (f"{AREA}, closed, 0 to 40 %", *drops)
    equal = [run("clean", 0, 0.9), run("open20", 0.2, 0.8), run("open21", 0.2, 0.7)]
    assert robustness(equal, "faces")[0].headings == ("drop at open20", "drop at open21")


@pytest.mark.parametrize(
    ("noise", "name"),
    [
        ("closed30", "closed"),
        ("open30_random", "open_random"),
        ("boundaryface_closed10", "boundaryface_closed"),
        ("c20o20", "closed and open 1:1"),
        ("c10o30", "closed and open 1:3"),
        ("boundaryface_c30o10", "boundaryface closed and open 3:1"),
        ("batch15o05", "batch closed and open 3:1"),
        ("closed30-cleaned1", "closed-cleaned"),
        ("30", "30"),
    ],
)
def test_a_series_is_called_by_what_its_noises_have_in_common(noise: str, name: str) -> None:
    assert series_name(noise) == name


def test_noises_of_one_proportion_are_a_series_from_the_lowest_rate() -> None:
    runs = [run("c20o20", 0.4, 0.5), run("clean", 0, 0.9), run("c10o10", 0.2, 0.8), run("c10o30", 0.4, 0.5)]
    assert [(name, list(rates.items())) for name, rates in series_of(runs).items()] == [
        ("closed and open 1:1", [("clean", 0.0), ("c10o10", 0.2), ("c20o20", 0.4)]),
        ("closed and open 1:3", [("clean", 0.0), ("c10o30", 0.4)]),
    ]


def test_without_clean_runs_there_is_no_drop_and_with_one_noise_nothing() -> None:
    (table,) = robustness([run("closed20", 0.2, 0.8), run("closed40", 0.4, 0.6)], "faces")
    assert table.headings == (f"{AREA}, closed, 20 to 40 %",)
    assert table.cells["arcface", table.columns[0]].mean == pytest.approx(0.7)
    assert robustness([run("closed20", 0.2, 0.8)], "faces") == []
    assert robustness([run("clean", 0, 0.9), run("closed20", 0.2, 0.8)], "lfw") == []


def test_noise_by_batch_has_the_rate_of_its_batches() -> None:
    by_batch = record(
        noise="batch30o10",
        accuracy=0.5,
        noise_counts={"clean": 1000, "closed": 0, "open": 0},
        noise_per_batch=BatchNoise(batch_size=128, closed=38, open=13, seed=0),
        manifest_checksum="b",
    )
    (table,) = robustness([run("clean", 0, 0.9), run("batch15o05", 0.2, 0.8), by_batch], "faces")
    assert table.headings[0] == f"{AREA}, batch closed and open 3:1, 0 to 39.8 %"
