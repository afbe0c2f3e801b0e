"""What is said where an interrupted run can no longer go on."""

from __future__ import annotations

from pathlib import Path

from noisebench.bench.cell import Cell, Inputs, run_folder
from noisebench.bench.changes import changed_runs, differences
from noisebench.bench.lock import hold
from noisebench.bench.record import DataSource, RunRecord
from tests.bench.records import done_record

INPUTS = Inputs(data=Path("d"), outliers=None, manifest=Path("m"), test_sets=(), reader="native", device="cpu")


def cell(results: Path, record: RunRecord) -> Cell:
    return Cell(folder=run_folder(results, record), inputs=INPUTS, record=record)


def test_it_names_every_key_with_the_old_and_the_new_value(tmp_path: Path) -> None:
    old = cell(tmp_path, done_record(status="interrupted", hash="1" * 64))
    old.record.write(old.folder)
    data = DataSource(name="faces", fingerprint="9" * 64, num_images=100, num_classes=10)
    new = cell(tmp_path, done_record(status="planned", hash="2" * 64, config={"training": {"epochs": 3}}, data=data))
    (told,) = changed_runs([new])
    assert "training.epochs: 2 -> 3; data set.fingerprint: dddddddd -> 99999999" in told
    assert f"{old.folder} can be removed" in told
    with hold(old.folder):  # it is no longer interrupted: somebody runs it
        assert list(changed_runs([new])) == []
    new.record.write(new.folder)  # it has been said once
    assert list(changed_runs([new])) == []


def test_finished_runs_and_other_seeds_are_no_matter(tmp_path: Path) -> None:
    for record in (done_record(hash="0" * 64), done_record(hash="1" * 64, status="interrupted", seed=1)):
        record.write(run_folder(tmp_path, record))
    assert list(changed_runs([cell(tmp_path, done_record(status="planned", hash="7" * 64))])) == []


def test_differences_of_nested_mappings() -> None:
    assert differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}, "e": 4}) == [
        "a.c: 2 -> 5",
        "d: 3 -> None",
        "e: None -> 4",
    ]
