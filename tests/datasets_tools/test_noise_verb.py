"""``noisebench data noise`` and ``audit`` as a user types them, with what can be mistyped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from datasets_tools.app import app
from noisebench.cli.app import run
from noisebench.noise.manifest import Manifest
from tests.tiny import IDENTITIES, IMAGES, write_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_faces(tmp_path_factory.mktemp("verb") / "faces")
    centres = np.random.Generator(np.random.Philox(0)).standard_normal((IDENTITIES, 8)).astype(np.float32)
    np.save(folder / "centres.npy", centres)
    return folder


def write(folder: Path, content: str) -> Path:
    recipe = folder / "mine.yaml"
    recipe.write_text(content)
    return recipe


def mistake(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """The one line on standard error, of a command that leaves with exit code 2 and writes nothing."""
    monkeypatch.setattr("sys.argv", ["noisebench data", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        run(app, "noisebench data")
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    return printed.err


HARD = "closed: {rate: 0.5, targets: hard, neighbours: 2}"


def test_hard_flips_are_made_and_audited_with_their_centres(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "hard.parquet"
    made = ["noise", write(tmp_path, HARD), "--data", faces, "--centres", faces / "centres.npy", "--out", out]
    result = CliRunner().invoke(app, list(map(str, made)))
    assert result.exit_code == 0, result.output
    assert Manifest.read(out).metadata().realised.closed == IDENTITIES * IMAGES // 2
    same = CliRunner().invoke(app, ["audit", str(out), "--centres", str(faces / "centres.npy")])
    assert (same.exit_code, "no difference" in same.output, "not compared" in same.output) == (0, True, False)
    without = CliRunner().invoke(app, ["audit", str(out), "--data", str(faces)])
    assert without.exit_code == 0, without.output
    assert "not compared: the labels of hard flips" in without.output
    np.save(tmp_path / "other.npy", np.eye(IDENTITIES))
    other = CliRunner().invoke(app, ["audit", str(out), "--centres", str(tmp_path / "other.npy")])
    assert other.exit_code == 1, other.output
    assert "DIFFERS: " in other.output
    assert str(Manifest.read(out).origin.fingerprints.centres) in other.output


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (HARD, "name it to 'noisebench data noise' with --centres"),
        ("closed: {rate: 0.7}\nopen: {rate: 0.4}", "add up to more than 1"),
        ("closed: {rate: 0.2, targets: permuation}", "did you mean 'permutation'?"),
        ("closed: {rate: 0.2, targets: hard}", "'neighbours'"),
        ("closed: {rate: 0.2}\nchosen_per: longtial", "did you mean 'longtail'?"),
        ("closed: {rate: 0.9}\nchosen_per: longtail\nat_most: 0.5", "'at_most' leaves only 18 (raise 'at_most'"),
        ("closed: {rate: 0.9}\nat_most: 0.5", "only chosen_per 'longtail' heeds it"),
        ("identities: {split: 0.6, merged: 0.6}", "add up to more than 1"),
        ("identities: {splt: 0.6}", "did you mean 'split'?"),
        ("identities: {split: 0.6}\nclosed: {rate: 0.1}", "without other noise"),
        ("identities: {merged: 1}", "none is left to merge with"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_one_line(
    recipe: str,
    told: str,
    faces: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ("noise", write(tmp_path, recipe), "--data", faces, "--out", tmp_path / "x.parquet")
    assert told in mistake(capsys, monkeypatch, *arguments)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.yaml"]


def test_centres_of_another_set_are_one_line(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "centres.npy", np.eye(IDENTITIES + 1))
    arguments = ("--data", faces, "--centres", tmp_path / "centres.npy", "--out", tmp_path / "x.parquet")
    line = mistake(capsys, monkeypatch, "noise", write(tmp_path, HARD), *arguments)
    assert f"has {IDENTITIES + 1} rows, but the data set {IDENTITIES} identities and {IDENTITIES * IMAGES} im" in line
