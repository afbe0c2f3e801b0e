"""The command line: quick to answer, one line for a mistake, the documented exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from datasets_tools.app import app as data
from noisebench import backbones
from noisebench.cli import app
from noisebench.evaluation.embed import embed
from noisebench.formats import verification_bin
from noisebench.models import model_file
from tests.tiny import SIZE, write_faces


def _verbs() -> list[list[str]]:
    """Every verb of the command line, with those of ``data``."""
    top = [command.name or "" for command in app.registered_commands]
    below = [command.name or "" for command in data.registered_commands]
    return [[name] for name in [*top, "data"]] + [["data", name] for name in below]


VERBS = _verbs()


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "noisebench", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("cli") / "faces")


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from noisebench.cli import app
import typer.testing
for verb in VERBS:
    result = typer.testing.CliRunner().invoke(app, [*verb, "--help"])
    assert result.exit_code == 0 and "Usage" in result.output, result.output
print([name for name in ("torch", "numpy", "pandas", "matplotlib", "cv2", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code.replace("VERBS", repr(VERBS))], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != ["data"]], ids=" ".join)
def test_every_help_has_an_example_of_its_verb(verb: list[str]) -> None:
    text = " ".join(CliRunner().invoke(app, [*verb, "--help"]).output.split())
    assert f"Example: noisebench {' '.join(verb)}" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["benhc"], "Did you mean 'bench'?"),
        (["bench", "--nose", "clean"], "--nose"),
        (["bench", "--nproc", "0"], "--nproc"),
        (["list", "method"], "did you mean 'methods'?"),
        (["table"], "holds no runs yet"),
        (["eval", "--checkpoint", "no.pt", "--testset", "no.bin"], "no.bin"),
        (["data", "noise", "closed3O", "--data", ".", "--out", "x.parquet"], "did you mean 'closed30'?"),
        (["data", "audit", "no.parquet"], "no.parquet"),
        (["data", "faces", "x", "--identities", "1"], "--identities"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_is_written_audited_and_found_out_when_it_differs(tmp_path: Path, faces: Path) -> None:
    made = run(tmp_path, "data", "noise", "closed30", "--data", faces, "--out", "c30.parquet")
    assert made.returncode == 0, made.stderr
    assert "closed     11        11  30.5556%" in made.stdout  # round(0.3 * 36)
    audited = run(tmp_path, "data", "audit", "c30.parquet", "--data", faces)
    assert (audited.returncode, "no difference" in audited.stdout) == (0, True)
    other = write_faces(tmp_path / "other", seed=1)
    audited = run(tmp_path, "data", "audit", "c30.parquet", "--data", other)
    assert audited.returncode == 1, audited.stdout
    same = subprocess.run(
        [sys.executable, "-m", "datasets_tools", "audit", "c30.parquet", "--data", str(faces)],
        cwd=tmp_path,
        check=False,
    )
    assert same.returncode == 0


def test_eval_prints_what_the_protocol_gives(tmp_path: Path, faces: Path) -> None:
    backbone = backbones.create("small_ir", embedding_size=8, image_size=(SIZE, SIZE), seed=3)
    model_file.save_model(tmp_path / "model.pt", backbone, name="small_ir", embedding_size=8, image_size=(SIZE, SIZE))
    done = run(tmp_path, "eval", "--checkpoint", tmp_path, "--testset", faces / "unseen.bin", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    testset = verification_bin.read(faces / "unseen.bin")
    assert result["test_set"] == "unseen"
    assert result["sha256"] == testset.sha256
    assert result["num_pairs"] == 20
    assert 0 <= result["accuracy"] <= 1
    norms = embed(backbone, testset.jpegs, device="cpu", image_size=(SIZE, SIZE)).mean_norm
    assert result["mean_norm"] == pytest.approx(norms, rel=1e-5)
    plain = run(tmp_path, "eval", "--checkpoint", tmp_path / "model.pt", "--testset", faces / "unseen.bin")
    assert f"unseen: accuracy {100 * result['accuracy']:.2f}" in plain.stdout


def test_lists_name_what_can_be_used(tmp_path: Path) -> None:
    known = {"arcface", "boundaryf1", "cosface", "curricularface", "softmax"}
    assert known <= set(run(tmp_path, "list", "methods").stdout.split())
    assert {"small_ir", "iresnet50"} <= set(run(tmp_path, "list", "backbones").stdout.split())
    assert "synth" in run(tmp_path, "list", "suites").stdout.split()
    assert np.isin(["clean", "closed30", "open30"], run(tmp_path, "list", "noise").stdout.split()).all()
