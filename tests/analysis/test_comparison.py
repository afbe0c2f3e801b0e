"""Two sides compared: by hand, and where they may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noisebench.analysis.comparison import Comparison, compare, comparison_text, find
from noisebench.analysis.statistics import Summary, paired, summarise
from noisebench.bench.cell import run_folder
from noisebench.bench.record import Code, RunRecord
from noisebench.errors import UserError
from tests.analysis.runs import metrics, record

CONFIG: dict[str, Any] = {"method": {"name": "arcface", "options": {"margin": 0.5}}, "training": {"epochs": 12}}
OTHER: dict[str, Any] = {"method": {"name": "softmax", "options": {}}, "training": {"epochs": 20}}


def runs(method: str, accuracies: tuple[float, ...], **changes: Any) -> list[RunRecord]:
    return [record(method=method, seed=seed, accuracy=accuracy, **changes) for seed, accuracy in enumerate(accuracies)]


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| faces")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_settings_and_metrics_by_hand() -> None:
    first = runs("arcface", (0.5, 0.75), config=CONFIG)
    second = runs("softmax", (0.25, 0.75, 0.5), config=OTHER, tar=None)
    (made,) = compare(first, second)
    assert made.where == "synth, faces, closed30"
    assert made.settings == (
        ("method.name", "arcface", "softmax"),
        ("method.options.margin", "0.5", "–"),
        ("training.epochs", "12", "20"),
        ("method.options", "–", "{}"),
    )
    (line,) = made.lines  # softmax has no TAR
    assert (line.first, line.second) == (summarise([0.5, 0.75]), summarise([0.25, 0.75, 0.5]))
    assert line.test == paired({0: 0.25, 1: 0.75}, {0: 0.5, 1: 0.75})
    assert line.test.difference == Summary(-0.125, 0.03125**0.5, 2)
    (row,) = rows_of(comparison_text(("arcface", "softmax"), [made]))
    assert row[2:5] == ["62.50 ± 17.68 (n=2)", "50.00 ± 25.00 (n=3)", "-12.50"]
    assert row[6:] == ["p=0.5", "p=1", "not distinguishable (n=2)"]


def test_holm_counts_all_comparisons_of_the_text() -> None:
    first = runs("arcface", (0.50, 0.52, 0.54), tar=None) + runs("arcface", (0.5, 0.6, 0.5), tar=None, noise="clean")
    second = runs("softmax", (0.70, 0.719, 0.741), tar=None) + runs("softmax", (0.5, 0.5, 0.6), tar=None, noise="clean")
    made = compare(first, second)
    raw = made[0].lines[0].test.p or 0
    text = comparison_text(("a", "b"), made)
    assert rows_of(text)[0][-1] == f"higher (p={2 * raw:.2g}, n=3)" if 2 * raw >= 0.001 else "higher (p<0.001, n=3)"
    assert "the 2 comparisons" in text
    assert [part.where for part in made] == ["synth, faces, closed30", "synth, faces, clean"]


def test_one_seed_each_is_no_test() -> None:
    made = compare(runs("arcface", (0.5,)), runs("softmax", (0.75,)))
    assert rows_of(comparison_text(("a", "b"), made))[0][4:] == ["+25.00", "–", "–", "–", "one seed: no test"]


def test_what_else_differs_is_said() -> None:
    code = Code(version="0.2.0", sha256="b" * 64, git_commit=None, git_dirty=None)
    other = record(noise="clean", manifest_checksum="9" * 64, code=code, method="softmax")
    (made,) = compare([record()], [other])
    assert made.where == "synth, faces, closed30 against synth, faces, clean"
    assert made.conditions == ("code", "noise manifest")
    text = comparison_text(("a", "b"), [made])
    assert "code, noise manifest (noisebench 0.1.0, commit 1234567890ab against noisebench 0.2.0 (bbbbbbbb))" in text
    assert "The configurations are the same." in text


def test_another_test_set_of_the_same_name_is_not_compared() -> None:
    other = metrics(0.75, 0.5).model_copy(update={"sha256": "9" * 64})
    (made,) = compare([record()], [record(method="softmax", metrics={"faces": other})])
    assert made.conditions == ("test set faces",)
    rows = rows_of(comparison_text(("a", "b"), [made]))
    assert {tuple(row[4:]) for row in rows} == {("–", "–", "–", "–", "another test set or protocol")}


def test_nothing_in_common_is_said() -> None:
    first = [record(), record(noise="clean")]
    with pytest.raises(UserError, match="no suite, data set and noise in common: synth, faces, closed30, "):
        compare(first, [record(noise="open20")])
    (made,) = compare([record()], [record(method="softmax", metrics={})])
    assert "They have no metric in common." in comparison_text(("a", "b"), [made])


def test_runs_that_may_not_be_averaged_are_refused() -> None:
    with pytest.raises(UserError, match="differ in noise manifest"):
        compare([record(), record(seed=1, manifest_checksum="9" * 64)], [record(method="softmax")])


def test_sides_are_found_by_folder_and_by_name(tmp_path: Path) -> None:
    for run in [
        *runs("arcface", (0.5, 0.6)),
        *runs("softmax", (0.4,), noise="clean"),
        record(method="magface", status="failed"),
    ]:
        run.write(run_folder(tmp_path, run))
    folder = tmp_path / "runs" / "synth" / "closed30" / "arcface"
    assert [run.seed for run in find("arcface", tmp_path)] == [0, 1]
    assert [run.seed for run in find(str(folder), tmp_path)] == [0, 1]
    assert [run.seed for run in find(str(next(folder.glob("seed1-*"))), tmp_path / "elsewhere")] == [1]
    with pytest.raises(UserError, match="'arcfase' is neither the folder of a run nor a method"):
        find("arcfase", tmp_path)
    with pytest.raises(UserError, match="none of the runs of 'magface' is done"):
        find("magface", tmp_path)
    assert isinstance(compare(find("arcface", tmp_path), find("softmax", tmp_path))[0], Comparison)
