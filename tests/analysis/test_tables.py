"""Comparison tables: averages by hand, what is printed, and which runs are refused."""

from __future__ import annotations

from typing import Any

import pytest

from noisebench.analysis.statistics import Summary, holm, paired
from noisebench.analysis.table_formats import to_markdown
from noisebench.analysis.tables import Column, comparisons, overviews
from noisebench.bench.record import Code, DataSource, RunRecord
from noisebench.errors import UserError
from noisebench.evaluation.result import Provenance
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
        ["softmax", "85.00 ± 7.07 ≈", "–"],
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


def seeds_of(method: str, *accuracies: float, **changes: Any) -> list[RunRecord]:
    """Runs of a method with these accuracies, the seeds counted from 0."""
    return [
        record(method=method, seed=seed, accuracy=accuracy, tar=None, **changes)
        for seed, accuracy in enumerate(accuracies)
    ]


def test_every_method_is_tested_against_the_best_with_holm_over_the_table() -> None:
    good, near, bad = (0.90, 0.91, 0.92), (0.905, 0.90, 0.92), (0.80, 0.812, 0.819)
    runs = seeds_of("arcface", *good) + seeds_of("cosface", *near) + seeds_of("softmax", *bad)
    (table,) = comparisons(runs)
    pairs = {
        method: paired(dict(enumerate(good)), dict(enumerate(other)))
        for method, other in (("cosface", near), ("softmax", bad))
    }
    adjusted = dict(zip(pairs, holm([pair.p or 0 for pair in pairs.values()]), strict=True))
    assert {key: (test.against, test.p) for key, test in table.tests.items()} == {
        (method, ACCURACY): ("arcface", adjusted[method]) for method in ("cosface", "softmax")
    }
    assert [row[1] for row in rows_of(to_markdown([table]))[2:]] == [
        "**91.00** ± 1.00",
        "*90.83* ± 1.04 ≈",
        "81.03 ± 0.96",
    ]
    assert table.tests["softmax", ACCURACY].verdict == "lower (p<0.001, n=3)"
    assert table.tests["cosface", ACCURACY].verdict == "not distinguishable (n=3)"
    assert "the table's 2 comparisons" in to_markdown([table])


def test_or_against_a_baseline() -> None:
    runs = (
        seeds_of("arcface", 0.90, 0.91, 0.92)
        + seeds_of("cosface", 0.80, 0.812, 0.819)
        + seeds_of("softmax", 0.70, 0.711, 0.72)
    )
    runs += seeds_of("magface", 0.85, 0.79, 0.80)
    (table,) = comparisons(runs, baseline="cosface")
    signs = {row[0]: row[1].split()[-1] for row in rows_of(to_markdown([table]))[2:]}
    assert (signs["arcface"], signs["softmax"], signs["magface"], signs["cosface"]) == ("▲", "▼", "≈", "0.96")
    (table,) = comparisons(runs[:3], baseline="cosface")
    assert table.notes == ("Nothing is tested for chance: no run of the baseline cosface is done.",)


def test_what_cannot_be_tested_is_said() -> None:
    (table,) = comparisons(seeds_of("arcface", 0.9) + seeds_of("cosface", 0.8))
    assert table.notes == ("Nothing is tested for chance: no two methods share two seeds.",)
    runs = seeds_of("arcface", 0.9, 0.91) + seeds_of("cosface", 0.8, 0.9) + seeds_of("softmax", 0.7)
    (table,) = comparisons([*runs, *seeds_of("magface", 0.8, 0.81, code=OTHER_CODE)])
    assert [row[1].split()[-1] for row in rows_of(to_markdown([table]))[2:]] == ["2)", "≈", "?", "?"]
    assert table.tests["softmax", ACCURACY].verdict == "one seed: no test"
    assert table.tests["magface", ACCURACY].verdict == "measured under other conditions: no test"
    assert table.notes[1].startswith("? not tested: ")
    (table,) = comparisons([*runs, *seeds_of("arcface", 0.5, code=OTHER_CODE)], allow_mixed=True)
    assert (table.tests, table.notes[0][:7]) == ({}, "Nothing")


def test_a_second_is_marked_of_three_and_equal_prints_rank_equally() -> None:
    methods = (("a", 0.9), ("b", 0.8), ("c", 0.800001), ("d", 0.7))
    (table,) = comparisons([run for method, accuracy in methods for run in seeds_of(method, accuracy)])
    assert [row[1] for row in rows_of(to_markdown([table]))[2:]] == ["**90.00**", "*80.00*", "*80.00*", "70.00"]


def test_a_protocol_without_accuracy_shows_what_it_has() -> None:
    def ijb(tar: float, eer: float) -> dict[str, Any]:
        return {"ijbc": {"sha256": "e", "tar_at_far": {"0.0001": tar}, "identification": {"rank-1": 0.5}, "eer": eer}}

    runs = [record(metrics=ijb(0.75, 0.25)), record(method="softmax", metrics=ijb(0.5, 0.125))]
    (table,) = comparisons(runs)
    assert table.headings == ("ijbc TAR@FAR=0.0001", "ijbc rank-1", "ijbc EER")
    rows = rows_of(to_markdown([table]))[2:]
    assert rows == [["arcface", "**75.00**", "**50.00**", "25.00"], ["softmax", "50.00", "**50.00**", "**12.50**"]]
    (overview,) = overviews(runs, "ijbc")
    assert overview.title == "synth, faces, ijbc TAR@FAR=0.0001"
    assert [cell.mean for cell in overview.cells.values()] == [0.75, 0.5]


def test_one_test_set_used_in_two_ways_shares_no_column() -> None:
    def made(flip: str) -> dict[str, Any]:
        way = Provenance(protocol="folds", preprocessing=None, flip=flip, fusion="sum")
        return {"faces": metrics(0.9, 0.5).model_copy(update={"provenance": way})}

    with pytest.raises(UserError, match="differ in test protocol"):
        comparisons([record(metrics=made("sum")), record(method="softmax", metrics=made("none"))])
