"""Area under accuracy and drop against clean, worked by hand over made-up runs."""

from __future__ import annotations

import numpy as np
import pytest

from noisebench.analysis.robustness import DROP, area_under, robustness
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
    assert table.title == "synth, faces, faces robustness to closed"
    assert table.headings == (f"{AREA}, 0 to 40 %", "drop at closed20", "drop at closed40")
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
    (table,) = robustness(runs, "faces")
    ranks = {(method, column.metric): mark.rank for (method, column), mark in marks_of(table).items()}
    assert {key: rank for key, rank in ranks.items() if key[1] == DROP} == {
        ("arcface", DROP): 0,
        ("softmax", DROP): 1,
        ("cosface", DROP): None,
    }
    assert ranks["arcface", AREA] == 0
    assert "| arcface | **85.00**" in to_markdown([table])


def test_a_method_that_misses_a_rate_has_no_area() -> None:
    runs = [run("clean", 0, 0.9), run("closed20", 0.2, 0.8), run("closed20", 0.2, 0.7, "softmax")]
    (table,) = robustness(runs, "faces")
    assert {method for method, _ in table.cells} == {"arcface"}


def test_each_series_has_its_table_and_equal_rates_have_no_area() -> None:
    runs = [run("clean", 0, 0.9), run("closed20", 0.2, 0.8), run("open20", 0.2, 0.8)]
    runs += [run("c10o30", 0.4, 0.7), run("c30o10", 0.4, 0.6)]
    tables = robustness(runs, "faces")
    assert [table.title.rsplit(" ", 1)[1] for table in tables] == ["closed", "open", "co"]
    assert [heading for table in tables for heading in table.headings if AREA in heading] == [f"{AREA}, 0 to 20 %"] * 2
    assert tables[2].headings == ("drop at c10o30", "drop at c30o10")


def test_without_clean_runs_there_is_no_drop_and_with_one_noise_nothing() -> None:
    (table,) = robustness([run("closed20", 0.2, 0.8), run("closed40", 0.4, 0.6)], "faces")
    assert table.headings == (f"{AREA}, 20 to 40 %",)
    assert table.cells["arcface", table.columns[0]].mean == pytest.approx(0.7)
    assert robustness([run("closed20", 0.2, 0.8)], "faces") == []
    assert robustness([run("clean", 0, 0.9), run("closed20", 0.2, 0.8)], "lfw") == []


def test_noise_by_batch_has_the_rate_of_its_batches() -> None:
    by_batch = record(
        noise="batch15o05",
        accuracy=0.5,
        noise_counts={"clean": 1000, "closed": 0, "open": 0},
        noise_per_batch=BatchNoise(batch_size=128, closed=19, open=6, seed=0),
        manifest_checksum="b",
    )
    (table,) = robustness([run("clean", 0, 0.9), by_batch], "faces")
    assert table.headings[0] == f"{AREA}, 0 to 19.5 %"
