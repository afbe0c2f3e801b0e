"""Comparison tables: averages by hand, what is printed, and which runs are refused."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from noisebench.analysis.statistics import Summary
from noisebench.analysis.tables import Column, comparisons, overviews, to_markdown, write_csv, write_markdown
from noisebench.bench.record import Code, DataSource, RunRecord
from noisebench.errors import UserError
from tests.analysis.runs import metrics, record

ACCURACY = Column("closed30", "faces", "accuracy")
TAR = Column("closed30", "faces", "TAR@FAR=0.001")


def rows_of(markdown: str) -> list[list[str]]:
    """The cells of the tables' rows, headings included."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_means_and_deviations_over_seeds() -> None:
    runs = [record(seed=seed, accuracy=accuracy) for seed, accuracy in enumerate((0.875, 0.75, 0.625))]
    (table,) = comparisons([*runs, record(method="softmax", accuracy=0.5, tar=None)])
    assert table.cells == {
        ("arcface", ACCURACY): Summary(0.75, 0.125, 3),
        ("arcface", TAR): Summary(0.5, 0.0, 3),
        ("softmax", ACCURACY): Summary(0.5, None, 1),
    }
    assert (table.methods, table.columns) == (("arcface", "softmax"), (ACCURACY, TAR))


def test_the_printed_table() -> None:
    runs = [record(method="softmax", seed=seed, accuracy=accuracy, tar=None) for seed, accuracy in ((0, 0.8), (1, 0.9))]
    runs += [
        record(method="arcface", seed=seed, accuracy=accuracy, tar=0.25) for seed, accuracy in ((0, 0.91), (1, 0.9))
    ]
    assert rows_of(to_markdown(comparisons(runs))) == [
        ["method", "faces accuracy", "faces TAR@FAR=0.001"],
        ["-------", "----------------", "-------------------"],
        ["softmax", "85.00 ± 7.07", "–"],
        ["arcface", "**90.50** ± 0.71", "25.00 ± 0.00"],
    ]


def test_equal_bests_are_both_bold_and_a_single_method_is_not() -> None:
    tied = [record(method=method, accuracy=0.90001, tar=None) for method in ("arcface", "cosface")]
    assert [row[1] for row in rows_of(to_markdown(comparisons(tied)))[2:]] == ["**90.00**", "**90.00**"]
    assert rows_of(to_markdown(comparisons(tied[:1])))[2] == ["arcface", "90.00", "–"]


def test_the_number_of_seeds_stands_in_the_header_or_where_it_differs_in_the_cells() -> None:
    runs = [record(method=method, seed=seed) for method in ("arcface", "cosface") for seed in (0, 3)]
    (table,) = comparisons(runs)
    assert table.header["Values"].endswith("over n = 2 seeds (0, 3)")
    (table,) = comparisons(runs[:3])
    assert table.header["Values"].endswith("over n seeds (0, 3)")
    markdown = to_markdown([table])
    assert "**90.00** ± 0.00 (n = 2)" in markdown
    assert "**90.00** (n = 1)" in markdown


def test_the_header_tells_what_the_numbers_are_of() -> None:
    dirty = Code(version="0.1.0", sha256="a" * 64, git_commit="1234567890abcdef", git_dirty=True)
    counts = {"clean": 6999, "closed": 2000, "open": 1001}
    (table,) = comparisons([record(noise="c20o10", noise_counts=counts, code=dirty)])
    assert table.title == "synth, faces, c20o10"
    assert table.header == {
        "Suite": "synth",
        "Data": "faces: 1,000 images of 50 identities (dddddddd)",
        "Noise": "c20o10: 20.00% closed-set (2,000 images), 10.01% open-set (1,001 images)",
        "Values": "per cent, mean ± sample standard deviation over n = 1 seeds (0)",
        "Weights": "last epoch",
        "Epochs": "12",
        "Precision": "float32",
        "Code": "noisebench 0.1.0, commit 1234567890ab with changes",
    }


def test_runs_that_are_not_done_stand_in_the_table_with_their_reason() -> None:
    reason = "the loss is not finite\nat step 3 | epoch 1"
    runs = [
        record(),
        record(seed=1, status="failed", reason=reason, metrics={}, history=[]),
        record(method="cosface", status="running", metrics={}, history=[]),
    ]
    markdown = to_markdown(comparisons(runs))
    assert "| arcface, seed 1 | failed: the loss is not finite at step 3 \\| epoch 1 | –" in markdown
    assert "| cosface, seed 0 | running" in markdown


def test_a_table_without_a_finished_run_still_says_why() -> None:
    markdown = to_markdown(comparisons([record(status="failed", reason="no space", metrics={}, history=[])]))
    assert rows_of(markdown)[0] == ["method", "status"]
    assert rows_of(markdown)[2] == ["arcface, seed 0", "failed: no space"]


def test_there_is_one_table_for_each_suite_data_set_and_noise() -> None:
    other = DataSource(name="lfw", fingerprint="9" * 64, num_images=1, num_classes=1)
    runs = [record(), record(suite="large"), record(data=other), record(noise="clean"), record(method="softmax")]
    titles = [table.title for table in comparisons(runs)]
    assert titles == ["synth, faces, closed30", "large, faces, closed30", "synth, lfw, closed30", "synth, faces, clean"]
    assert comparisons(runs)[0].methods == ("arcface", "softmax")


def test_the_overview_sets_methods_against_noises() -> None:
    runs = [
        record(noise="clean", manifest_checksum="1", noise_counts={"clean": 10, "closed": 0, "open": 0}, accuracy=0.95),
        record(accuracy=0.75, metrics={"faces": metrics(0.75, None), "lfw": metrics(0.5, None)}),
        record(method="softmax", status="interrupted", metrics={}),
    ]
    (table,) = overviews(runs, "faces")
    assert table.title == "synth, faces, faces accuracy"
    assert table.header["Noise"] == "clean: no label changed; closed30: 30.00% closed-set (300 images)"
    assert rows_of(to_markdown([table])) == [
        ["method", "clean", "closed30"],
        ["-------", "-----", "--------"],
        ["arcface", "95.00", "75.00"],
        ["softmax, seed 0", "–", "interrupted"],
    ]


OTHER_CODE = Code(version="0.1.0", sha256="b" * 64, git_commit=None, git_dirty=None)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"seed": 1, "code": OTHER_CODE}, "code"),
        ({"seed": 1, "manifest_checksum": "9" * 64}, "noise manifest"),
        ({"seed": 1, "method_sha256": "9" * 64}, "source of the method"),
        ({"seed": 1, "config": {"epochs": 13}}, "configuration"),
        ({"seed": 1, "outliers": DataSource(name="o", fingerprint="9", num_images=1, num_classes=1)}, "outlier set"),
        ({"hash": "another"}, "hash"),
        ({"seed": 1, "metrics": {"faces": metrics(0.5, 0.5).model_copy(update={"sha256": "9" * 64})}}, "test set"),
    ],
)
def test_what_differs_is_not_averaged(changes: dict[str, Any], what: str) -> None:
    runs = [record(), record(**changes)]
    with pytest.raises(UserError, match=rf"synth/closed30/arcface/seed0-\S+ and \S+ differ in {what},"):
        comparisons(runs)
    with pytest.raises(UserError, match=f"differ in {what},"):
        overviews(runs, "faces")
    assert len(comparisons(runs, allow_mixed=True)) == 1


def test_methods_may_differ_in_code_and_configuration_and_unfinished_runs_in_anything() -> None:
    other = record(method="softmax", method_sha256="9" * 64, config={"scale": 16}, code=OTHER_CODE)
    failed = record(seed=1, status="failed", code=OTHER_CODE, metrics={})
    (table,) = comparisons([record(), other, failed])
    assert len(table.cells) == 4
    assert table.header["Code"].count("noisebench") == 2


def test_files(tmp_path: Path) -> None:
    runs: list[RunRecord] = [record(seed=seed, accuracy=accuracy) for seed, accuracy in ((0, 0.75), (1, 0.875))]
    tables = comparisons([*runs, record(noise="clean", tar=None)])
    write_markdown(tables, tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == to_markdown(tables)
    write_csv(tables, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [(line["method"], line["noise"], line["test_set"], line["metric"]) for line in lines] == [
        ("arcface", "closed30", "faces", "accuracy"),
        ("arcface", "closed30", "faces", "TAR@FAR=0.001"),
        ("arcface", "clean", "faces", "accuracy"),
    ]
    assert (float(lines[0]["mean"]), lines[0]["n"]) == (0.8125, "2")
    assert float(lines[0]["std"]) == pytest.approx(0.125 / 2**0.5)
    assert lines[2]["std"] == ""
