"""``noisebench clean`` from the command line: by a run, in rounds, stopped and gone on with; mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from noisebench.bench.store import all_runs
from noisebench.cleaning.decisions import Decisions
from noisebench.cli.app import app
from noisebench.errors import UserError
from noisebench.noise.manifest import Manifest
from tests.tiny import write_faces, write_suite

TRAINED = ("--suite", "tiny.yaml", "--data", "faces", "--noise", "closed30", "--method", "arcface")
RULE = ("--rule", "gap", "--threshold", "4deg", "--epochs", "1")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("rounds") / "faces")


@pytest.fixture
def folder(tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data set ``faces`` and the suite ``tiny.yaml``; commands are given there."""
    (tmp_path / "faces").symlink_to(faces)
    write_suite(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clean(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["clean", *map(str, arguments)])


def rounds(number: int, out: str = "out") -> Result:
    return clean(*TRAINED, *RULE, "--rounds", str(number), "--stop-below", "0", "--out", out)


def test_rounds_that_were_stopped_go_on_and_give_all_decisions(folder: Path) -> None:
    first = rounds(1)
    assert first.exit_code == 0, first.output
    written = (folder / "out/round1/manifest.parquet").stat().st_mtime_ns
    done = rounds(2)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("(cached)") == 1
    assert (folder / "out/round1/manifest.parquet").stat().st_mtime_ns == written
    one, two = sorted(all_runs(folder / "out"), key=lambda run: run.record.noise)
    assert (one.record.noise, two.record.noise) == ("closed30", "closed30-cleaned1")

    noise, middle, left = one.manifest(), two.manifest(), Manifest.read(folder / "out/manifest.parquet")
    assert middle.checksum == Manifest.read(folder / "out/round1/manifest.parquet").checksum
    assert len(noise) > len(middle) > len(left)
    decisions = Decisions.read(folder / "out/manifest.decisions.parquet", len(noise))
    in_round = {int(key): 1 if key not in middle.index else 2 for key in np.setdiff1d(noise.index, left.index)}
    assert dict(zip(noise.index.tolist(), decisions.round.tolist(), strict=True)) == {
        int(key): in_round.get(int(key), 0) for key in noise.index
    }

    alone = clean(one.folder, *RULE, "--out", "alone.parquet")
    assert alone.exit_code == 0, alone.output
    assert Manifest.read(folder / "alone.parquet").checksum == middle.checksum
    told = json.loads(clean(one.folder, *RULE, "--out", "again.parquet", "--json").stdout)
    assert (told["images"], told["manifest"]) == (len(middle), "again.parquet")
    assert told["quality"]["numbers"]["dropped"] == len(noise) - len(middle)
    other = clean(*TRAINED, "--out", "out")
    assert isinstance(other.exception, UserError)
    assert "was made by the rule 'drop: angle to the label less" in str(other.exception)
    again = clean(one.folder, "--rule", "correction", "--out", "none.parquet")
    assert "corrected no label" in str(again.exception)
    assert not (folder / "none.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--out a.parquet", "give the folder of a finished run, or --noise and --method"),
        ("nowhere --out a.parquet", "give the folder of a run"),
        ("nowhere --out a.txt", "its name ends in .parquet"),
        ("nowhere --noise closed30 --out a.parquet", "--noise is for cleaning in rounds"),
        ("nowhere --rounds 2 --out a.parquet", "--rounds is for cleaning in rounds"),
        ("--noise closd30 --method arcface --out a --suite tiny.yaml --data faces", "did you mean 'closed30'?"),
        (
            "--noise closed30 --method arcface --out a --suite tiny.yaml --data faces --rule subcentre",
            "rule 'subcentre' needs several centres a class, and 'arcface' has one",
        ),
        (
            "--noise closed30 --method arcface --out a --suite tiny.yaml --data faces --rule correction",
            "needs a method that corrects labels, and 'arcface' does not",
        ),
        ("--noise closed30 --method arcface --out tiny.yaml --suite tiny.yaml --data faces", "is a file"),
        ("--noise batch15o05 --method arcface --out a --suite tiny.yaml --data faces", "drawn anew for every batch"),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing(folder: Path, arguments: str, said: str) -> None:
    done = clean(*arguments.split())
    assert isinstance(done.exception, UserError), done.output
    assert said in str(done.exception)
    assert sorted(path.name for path in folder.iterdir()) == ["faces", "tiny.yaml"]
