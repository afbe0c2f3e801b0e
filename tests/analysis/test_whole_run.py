"""All analyses of a run: what is written, what is said, and what a fault in its files costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from noisebench.analysis.angles import angle_histograms
from noisebench.analysis.centre_log import CentreLog
from noisebench.analysis.corrections import corrections
from noisebench.analysis.memorisation import memorisation
from noisebench.analysis.noise_rate import noise_rates
from noisebench.analysis.run_log import RunLog
from noisebench.analysis.sample_log import epoch_folder
from noisebench.analysis.state_log import StateLog
from noisebench.analysis.whole_run import analyse, open_run
from noisebench.bench.store import Run
from noisebench.cli import app
from noisebench.errors import FileError, UserError
from noisebench.noise.schema import CLEAN, CLOSED
from tests.analysis.made_up import NUM_CLASSES, made_up_run
from tests.analysis.runs import log_epoch, manifest


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_up_run(tmp_path)


def test_every_table_is_what_its_analysis_gives(run: Run) -> None:
    analysis, log = analyse(run), RunLog.of_run(run)
    flipped = int((log.manifest.kind == CLOSED).sum())
    expected = {
        "angles": log.over_epochs(angle_histograms),
        "noise_rate": log.over_epochs(noise_rates),
        "corrections": log.over_epochs(lambda samples: corrections(samples, flipped)),
        "memorisation": log.over_epochs(memorisation),
    }
    for name, table in expected.items():
        pd.testing.assert_frame_equal(analysis.tables[name], table)
    assert set(analysis.tables) - set(expected) == {
        "detection", "detection_curves", "correction_changes", "correction_frequency",
    }  # fmt: skip


def test_what_is_written_can_be_read(run: Run, tmp_path: Path) -> None:
    analysis = analyse(run)
    analysis.write(tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == set(analysis.tables)
    for name, table in analysis.tables.items():
        read = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        pd.testing.assert_frame_equal(read, table, check_dtype=False, rtol=1e-6)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary == analysis.summary()
    assert summary["manifest_checksum"] == run.record.manifest_checksum
    assert [row["epoch"] for row in summary["last_epoch"]["memorisation"]] == [2, 2, 2]
    assert summary["last_epoch"]["memorisation"][2]["to_true"] is None  # open-set noise


def test_logs_of_centres_and_state_and_a_clean_run_add_tables(run: Run, tmp_path: Path) -> None:
    clean = made_up_run(tmp_path, "clean", [CLEAN] * 100)
    centres = np.random.Generator(np.random.Philox(0)).standard_normal((NUM_CLASSES, 4), dtype=np.float32)
    CentreLog(run.folder).append(0, centres)
    for folder in (run.folder, clean.folder):
        np.save(folder / "centres.npy", centres)
    state = StateLog(run.folder)
    state.append(0, {"phi": 0.5})
    state.flush()
    analysis = analyse(run, clean=clean)
    assert analysis.tables["centre_drift"]["since"].unique().tolist() == ["first"]
    assert analysis.tables["method_state"]["phi"].tolist() == [0.5]
    assert analysis.tables["centres_from_clean_run"]["label"].tolist() == list(range(NUM_CLASSES))
    assert analysis.facts["mean_angle_from_clean_run"] == pytest.approx(0, abs=1e-5)


def test_a_faulty_epoch_is_left_out_and_said(run: Run) -> None:
    (epoch_folder(run.folder, 1) / "rank=0.parquet").write_bytes(b"PAR1")
    analysis = analyse(run)
    assert analysis.tables["corrections"]["epoch"].tolist() == [0, 2]
    assert analysis.tables["correction_changes"]["previous_epoch"].unique().tolist() == [0]
    assert any("epoch 1 is left out" in note and "damaged sample log" in note for note in analysis.notes)


def test_with_no_sound_epoch_there_is_nothing_to_say(run: Run) -> None:
    for epoch in range(3):
        (epoch_folder(run.folder, epoch) / "rank=0.parquet").write_bytes(b"PAR1")
    with pytest.raises(FileError, match="no epoch of its sample log can be analysed: epoch 2 is left out"):
        analyse(run)


def test_a_clean_run_is_analysed_as_far_as_it_goes(tmp_path: Path) -> None:
    analysis = analyse(made_up_run(tmp_path, "clean", [CLEAN] * 40))
    assert analysis.notes[0].startswith("no sample is noisy")
    assert len(analysis.tables["angles"]) == 3 * 3 * 180
    assert analysis.tables["detection"]["auc"].isna().all()
    json.dumps(analysis.summary(), allow_nan=False)


def test_a_missing_epoch_is_said(run: Run) -> None:
    shutil.rmtree(epoch_folder(run.folder, 1))
    assert any("1 of 3 epochs are not in the sample log (1)" in note for note in analyse(run).notes)


def test_one_class_alone_is_said(tmp_path: Path) -> None:
    alone = manifest([CLEAN] * 4, num_classes=1)
    rows = np.arange(len(alone))
    log_epoch(tmp_path, 0, rows, nearest=np.zeros(len(rows), np.int32), used_label=alone.label)
    assert RunLog.open(tmp_path, alone).notes[0].startswith("there is one class alone")


def test_sub_centres_that_the_log_does_not_tell_are_said(tmp_path: Path) -> None:
    run = made_up_run(tmp_path, config={"method": {"options": {"sub_centres": 3}}})
    assert any(note.startswith("0 epochs of the sample log tell sub-centres") for note in analyse(run).notes)


def test_only_the_folder_of_a_run_is_one(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="give the folder of a run"):
        open_run(tmp_path)


def test_the_verb_writes_beside_the_run_and_says_what_it_found(run: Run) -> None:
    done = CliRunner().invoke(app, ["analyze", str(run.folder)])
    assert done.exit_code == 0
    assert "arcface under closed30, seed 0: epoch 2, the last of 3 logged" in done.output
    assert "detection by angle " in done.output
    assert "corrections  " in done.output
    assert (run.folder / "analysis" / "summary.json").is_file()


def test_the_verb_prints_json(run: Run, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(run.folder), "--json", "--out", str(tmp_path / "out")])
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert not (run.folder / "analysis").exists()


def test_outliers_without_data_are_a_mistake(run: Run) -> None:
    done = CliRunner().invoke(app, ["analyze", str(run.folder), "--outliers", "x"])
    assert isinstance(done.exception, UserError)
    assert "--outliers goes with --data" in str(done.exception)
