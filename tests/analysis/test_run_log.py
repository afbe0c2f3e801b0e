"""The log of a run, epoch by epoch, with the truth beside it; and what is said of faulty ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from noisebench.analysis.run_log import RunLog, by_kind
from noisebench.analysis.sample_log import epoch_folder
from noisebench.bench.store import Run, manifest_path
from noisebench.errors import FileError
from noisebench.noise.schema import CLEAN, CLOSED, OPEN
from tests.analysis.made_up import KINDS, log_made_up, made_up_log, made_up_run
from tests.analysis.runs import log_epoch, manifest


def test_an_epoch_has_the_truth_beside_each_row(tmp_path: Path) -> None:
    log = made_up_log(tmp_path)
    samples = log.epoch(1)
    assert samples.row.tolist() == [0, *range(2, 100)]
    assert samples.kind.tolist() == log.manifest.kind[samples.row].tolist()
    assert samples.label.tolist() == log.manifest.label[samples.row].tolist()
    assert samples.true_label.tolist() == log.manifest.true_label[samples.row].tolist()
    assert samples.corrected.tolist() == (samples.used_label != samples.label).tolist()
    assert samples.sub_centre is None
    assert {name: int(mask.sum()) for name, mask in by_kind(samples.kind).items()} == {
        "clean": 59, "closed": 25, "open": 15,
    }  # fmt: skip
    assert [each.epoch for each in log] == [0, 1, 2]
    assert log.notes == ()


@pytest.mark.parametrize(
    ("epochs", "num_epochs", "said"),
    [
        ((0, 1), None, None),
        ((0, 3), None, "2 of 4 epochs are not in the sample log (1, 2)"),
        ((0, 1), 3, "1 of 3 epochs are not in the sample log (2)"),
        ((11,), None, "11 of 12 epochs are not in the sample log (0, 1, 2, 3, 4, 5, 6, 7, ...)"),
    ],
)
def test_missing_epochs_are_named(
    tmp_path: Path, epochs: tuple[int, ...], num_epochs: int | None, said: str | None
) -> None:
    log = made_up_log(tmp_path, epochs=epochs)
    notes = RunLog.open(tmp_path, log.manifest, num_epochs).notes
    assert [note.split(":")[0] for note in notes] == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ([CLEAN] * 9, "no sample is noisy"),
        ([CLOSED] * 5 + [OPEN] * 4, "no sample is clean"),
        ([CLEAN] * 5 + [OPEN] * 4, "no sample has closed-set noise"),
    ],
)
def test_one_sided_noise_is_said(tmp_path: Path, kinds: list[int], said: str) -> None:
    (note,) = made_up_log(tmp_path, kinds).notes
    assert note.startswith(said)


def test_a_log_of_another_manifest_is_refused(tmp_path: Path) -> None:
    log = made_up_log(tmp_path)
    reversed_kinds = RunLog.open(tmp_path, manifest(KINDS[::-1]))
    with pytest.raises(FileError, match=r"epoch=000: \d+ of 99 rows contradict the manifest, first row \d+"):
        reversed_kinds.epoch(0)
    with pytest.raises(FileError, match="row 99, but the manifest has only 50 rows"):
        RunLog.open(tmp_path, manifest(KINDS[:50])).epoch(0)
    assert len(log.epoch(0)) == 99


def test_a_row_that_stands_there_twice_is_named(tmp_path: Path) -> None:
    log = made_up_log(tmp_path, epochs=[0])
    log_epoch(tmp_path, 0, np.array([40, 41, 42]), rank=1)
    with pytest.raises(FileError, match=r"row 40 is logged twice \(one of 3 such rows\)"):
        log.epoch(0)


def test_an_epoch_without_rows_is_said(tmp_path: Path) -> None:
    log = made_up_log(tmp_path, epochs=[0])
    shutil.rmtree(epoch_folder(tmp_path, 0))
    log_epoch(tmp_path, 0, np.array([], np.int64))
    with pytest.raises(FileError, match="holds no row"):
        log.epoch(0)


def test_the_manifest_beside_a_run_must_be_its_own(tmp_path: Path) -> None:
    run = made_up_run(tmp_path)
    assert RunLog.of_run(run).epochs == (0, 1, 2)
    other = manifest(KINDS[::-1])
    place = manifest_path(run.folder.parents[1], run.record.manifest_checksum, None)
    other.write(place)
    with pytest.raises(FileError, match=f"trained with manifest {run.record.manifest_checksum[:8]}"):
        RunLog.of_run(Run(run.folder, run.record))


def test_another_epoch_may_be_logged_later(tmp_path: Path) -> None:
    log = made_up_log(tmp_path, epochs=[0])
    log_made_up(tmp_path, log.manifest, 1, seed=5)
    assert RunLog.open(tmp_path, log.manifest).epochs == (0, 1)
