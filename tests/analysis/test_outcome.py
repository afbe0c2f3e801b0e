"""Which tables are made of a results folder, and what is made of it where one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from noisebench.analysis.outcome import TableChoice, write_outcome, write_tables
from noisebench.bench.record import Code
from noisebench.bench.store import Run
from noisebench.errors import UserError
from tests.analysis.made_up import made_up_run
from tests.analysis.runs import metrics, record

RUNS = [
    Run(Path(), record(noise=noise, method=method, manifest_checksum=noise, noise_counts=counts, metrics=measured))
    for noise, counts in (("clean", {"clean": 10}), ("closed20", {"clean": 8, "closed": 2}))
    for method, measured in (
        ("arcface", {"faces": metrics(0.9, None), "lfw": metrics(0.8, None)}),
        ("softmax", {"faces": metrics(0.7, None)}),
    )
]
EVERY_TITLE = [
    "synth, faces, clean",
    "synth, faces, closed20",
    "synth, faces, faces accuracy",
    "synth, faces, faces robustness",
    "synth, faces, lfw accuracy",
    "synth, faces, lfw robustness",
]


def titles(text: str) -> list[str]:
    return [line[3:] for line in text.splitlines() if line.startswith("## ")]


def test_all_tables_are_printed_and_written_in_every_format(tmp_path: Path) -> None:
    assert titles(write_tables(RUNS, tmp_path)) == EVERY_TITLE
    folder = tmp_path / "tables" / "synth-faces"
    names = ("clean", "closed20", "all-faces", "all-lfw")
    assert {file.name for file in folder.iterdir()} == {
        f"{name}.{end}" for name in names for end in ("md", "csv", "tex", "json")
    }
    assert titles((folder / "all-lfw.md").read_text()) == EVERY_TITLE[-2:]


def test_a_choice_of_them(tmp_path: Path) -> None:
    assert titles(write_tables(RUNS, tmp_path, TableChoice(by="testset"))) == EVERY_TITLE[:2]
    assert titles(write_tables(RUNS, tmp_path, TableChoice(by="noise", test_set="lfw"))) == EVERY_TITLE[-2:]
    text = write_tables(RUNS, tmp_path, TableChoice(by="testset", test_set="lfw"))
    assert "faces accuracy" not in text
    assert "lfw accuracy" in text
    assert write_tables(RUNS, tmp_path, TableChoice(format="latex")).startswith("\\begin{table}")
    assert write_tables(RUNS, tmp_path, TableChoice(format="csv")).count("table,method,noise,") == 1


def test_published_numbers_come_along_unless_they_are_not_wanted(tmp_path: Path) -> None:
    assert "BoundaryFace README" in write_tables(RUNS, tmp_path)
    assert "published" not in write_tables(RUNS, tmp_path, TableChoice(published=False))


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (TableChoice(by="noises"), "--by 'noises' is unknown: did you mean 'noise'"),
        (TableChoice(format="html"), "--format 'html' is unknown: choose from: csv, json, latex, markdown"),
        (TableChoice(baseline="arcfase"), "--baseline 'arcfase' is unknown: did you mean 'arcface'"),
        (TableChoice(test_set="lwf"), "--test-set 'lwf' is unknown: did you mean 'lfw'"),
    ],
)
def test_unknown_names(tmp_path: Path, choice: TableChoice, told: str) -> None:
    with pytest.raises(UserError, match=told):
        write_tables(RUNS, tmp_path, choice)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_table_does_not_keep_the_others_back(tmp_path: Path) -> None:
    stale = record(noise="clean", seed=1, code=Code(version="0", sha256="b" * 64, git_commit=None, git_dirty=None))
    runs = [*RUNS, Run(Path(), stale.model_copy(update={"manifest_checksum": "clean"}))]
    refused: list[UserError] = []
    assert titles(write_tables(runs, tmp_path, refused=refused.append)) == ["synth, faces, closed20"]
    assert [("differ in code" in str(error)) for error in refused] == [True] * 3
    with pytest.raises(UserError, match="differ in code"):
        write_tables(runs, tmp_path)


def test_without_a_finished_run_there_is_nothing_by_noise(tmp_path: Path) -> None:
    failed = Run(Path(), record(status="failed", metrics={}, history=[]))
    assert titles(write_tables([failed], tmp_path)) == ["synth, faces, closed30"]
    with pytest.raises(UserError, match="no run is done"):
        write_tables([failed], tmp_path, TableChoice(by="noise"))


def growing(results: Path) -> list[Run]:
    """Runs of a method under clean labels, 10 % and 20 % closed-set noise."""
    return [
        made_up_run(results, noise, [int(row < 3 * number) for row in range(30)], accuracy=0.9 - 0.1 * number)
        for number, noise in enumerate(("clean", "closed10", "closed20"))
    ]


def test_a_bench_of_growing_noise_draws_what_is_left(tmp_path: Path) -> None:
    text = write_outcome(growing(tmp_path), tmp_path)
    named = [Path(line).name for line in text.splitlines() if line.startswith("wrote ")]
    angles = [f"angles-{noise}.png" for noise in ("clean", "closed10", "closed20")]
    assert named == [*angles, "accuracy.png", "accuracy-over-closed.png"]


def test_of_mixed_runs_no_curve_is_drawn(tmp_path: Path) -> None:
    other = Code(version="0.1.0", sha256="b" * 64, git_commit=None, git_dirty=None)
    runs = growing(tmp_path)
    runs.append(made_up_run(tmp_path, "closed20", [int(row < 6) for row in range(30)], seed=1, code=other))
    refused: list[UserError] = []
    text = write_outcome(runs, tmp_path, refused.append)
    assert refused
    assert "accuracy.png" in text
    assert "accuracy-over" not in text
