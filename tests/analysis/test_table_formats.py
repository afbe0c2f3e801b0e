"""Tables as CSV, JSON and LaTeX, read back; intervals and published numbers in all formats."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from noisebench.analysis.published import PublishedNumber
from noisebench.analysis.statistics import bootstrap_interval, interval_of, summarise
from noisebench.analysis.table_formats import CSV_FIELDS, escape, to_csv, to_latex, to_markdown
from noisebench.analysis.table_json import tables_to_json
from noisebench.analysis.tables import Table, comparisons, with_interval
from tests.analysis.runs import metrics, record

NUMBER = PublishedNumber(
    method="ArcFace [table m=0.3]",
    backbone="R50",
    train_data="CASIA-WebFace (synthetic noise)",
    noise_closed="30%",
    noise_open="",
    testset="LFW",
    metric="verification accuracy (%)",
    value="98.76+",
    source="README:7",
    remark="selected by the test set; a lower bound",
)


def table() -> Table:
    runs = [
        record(method=method, seed=seed, metrics={"lfw": metrics(accuracy, None)})
        for method, accuracies in (("arcface", (0.75, 0.875)), ("mv_arc", (0.5, 0.75)), ("softmax", (0.25, 0.5)))
        for seed, accuracy in enumerate(accuracies)
    ]
    failed = record(method="magface", status="failed", reason="50 % & more_", metrics={}, history=[])
    (made,) = comparisons([*runs, failed], published=[NUMBER])
    return made


def test_csv_says_everything_in_fractions() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv([table()]))))
    assert tuple(lines[0]) == CSV_FIELDS
    assert [(line["method"], line["test_set"], line["metric"], line["origin"]) for line in lines] == [
        ("arcface", "lfw", "accuracy", "measured"),
        ("mv_arc", "lfw", "accuracy", "measured"),
        ("softmax", "lfw", "accuracy", "measured"),
        ("ArcFace [table m=0.3]", "lfw", "accuracy", "published"),
    ]
    best, second, _, published = lines
    summary = summarise([0.75, 0.875])
    interval = interval_of(summary)
    assert (float(best["mean"]), float(best["std"]), int(best["n"])) == summary
    assert (float(best["low"]), float(best["high"])) == interval
    assert (best["against"], best["verdict"]) == ("", "")
    assert (second["against"], second["verdict"]) == ("arcface", "not distinguishable (n=2)")
    assert float(second["difference"]) == -0.1875
    assert float(second["p_holm"]) >= float(second["p"])
    assert (best["seeds"], best["selection"], best["code"]) == (
        "0 1",
        "last epoch",
        "noisebench 0.1.0, commit 1234567890ab",
    )
    assert best["realised_noise"] == "closed30: 30.00% closed-set (300 images)"
    assert (float(published["mean"]), published["n"]) == (0.9876, "")
    assert "known: selected by the test set; a lower bound" in published["remark"]


def test_intervals_may_stand_in_place_of_deviations() -> None:
    made = with_interval(table(), "bootstrap")
    low, high = bootstrap_interval([0.75, 0.875]) or (0, 0)
    assert f"| **81.25** [{100 * low:.2f}, {100 * high:.2f}]" in to_markdown([made])
    assert "- Values: per cent, mean [95 % bootstrap interval, 10,000 resamples] over n = 2 seeds" in to_markdown(
        [made]
    )
    best = next(csv.DictReader(io.StringIO(to_csv([made]))))
    assert (float(best["low"]), float(best["high"]), best["interval"]) == (low, high, "bootstrap")
    by_t = interval_of(summarise([0.75, 0.875]))
    assert by_t is not None
    assert f"| **81.25** [{100 * by_t.low:.2f}, {100 * by_t.high:.2f}]" in to_markdown([with_interval(table(), "t")])
    assert with_interval(table(), None) == table()


def test_json_says_everything_and_the_value_of_every_seed() -> None:
    (content,) = json.loads(tables_to_json([table()]))
    assert content["title"] == "synth, faces, closed30"
    best, second, _ = content["cells"]
    summary, interval = summarise([0.75, 0.875]), interval_of(summarise([0.75, 0.875]))
    assert (best["mean"], best["std"], best["n"]) == summary
    assert (best["interval"]["low"], best["interval"]["high"]) == interval
    assert best["values"] == {"0": 0.75, "1": 0.875}
    assert best["test"] is None
    assert (second["test"]["against"], second["test"]["difference"]) == ("arcface", -0.1875)
    assert content["unfinished"] == [{"run": "magface, seed 0", "noise": "closed30", "state": "failed: 50 % & more_"}]
    assert content["published"][0]["percent"] == "98.76+"


def test_latex_is_balanced_and_escaped() -> None:
    text = to_latex([table()])
    assert re.findall(r"\\(\w+rule)", text) == ["toprule", "midrule", "midrule", "bottomrule"]
    assert text.count("\\begin{") == text.count("\\end{") == 2
    assert text.count("{") - text.count("\\{") == text.count("}") - text.count("\\}")
    rows = [line for line in text.splitlines() if line.endswith(" \\\\")]
    assert rows[0] == "method & lfw accuracy & \\shortstack[r]{lfw \\\\ TAR@FAR=0.001} \\\\"
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {3}
    assert rows[1] == "arcface & \\textbf{81.25} $\\pm$ 8.84 & -- \\\\"
    assert rows[2] == "mv\\_arc & \\underline{62.50} $\\pm$ 17.68 $\\approx$ & -- \\\\"
    assert rows[4] == "ArcFace [table m=0.3], published [1] & 98.76+ & -- \\\\"
    assert "magface, seed 0, closed30: failed: 50 \\% \\& more\\_.\\par" in text
    assert re.search(r"(?<!\\)[%#_&~^]", re.sub(r"&(?= )", "", text)) is None
    assert text.isascii()


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("50 % & a_b #1 $x {y}", "50 \\% \\& a\\_b \\#1 \\$x \\{y\\}"),
        ("a\\b~c^d", "a\\textbackslash{}b\\textasciitilde{}c\\textasciicircum{}d"),
        ("BoundaryFace（λ=π）", "BoundaryFace($\\lambda$=$\\pi$)"),
        ("p < 0.05", "p $<$ 0.05"),
    ],
)
def test_escapes(plain: str, escaped: str) -> None:
    assert escape(plain) == escaped


def test_published_numbers_stand_below_ours_with_a_footnote() -> None:
    markdown = to_markdown([table()])
    assert "| ArcFace [table m=0.3], published [1] | 98.76+" in markdown
    assert (
        "\n[1] R50 trained on CASIA-WebFace (synthetic noise); README:7; "
        "known: selected by the test set; a lower bound.\n" in markdown
    )
    assert "nothing here is tested against them" in markdown
    assert "published" not in to_markdown(comparisons([record()], published=[NUMBER]))
