"""The command line: quick to answer, one line for a mistake, the documented exit codes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import typer
from typer.testing import CliRunner

from noisebench import backbones
from noisebench.cli import app
from noisebench.cli.app import run as run_app
from noisebench.evaluation.embed import embed
from noisebench.exit_codes import ExitCode
from noisebench.formats import verification_bin
from noisebench.models import model_file
from tests.cli.commands import every_command, parse, run, verbs
from tests.conftest import REPOSITORY
from tests.tiny import SIZE, write_faces

HEAVY = ("torch", "numpy", "pandas", "matplotlib", "cv2", "pyarrow", "yaml", "rich", "jinja2", "tqdm")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("cli") / "faces")


def test_no_help_imports_anything_heavy() -> None:
    code = """
import sys
from typer.testing import CliRunner
from noisebench.cli import app
for words in COMMANDS:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0 and "Usage" in result.output, (words, result.output, result.exception)
print([name for name in HEAVY if name in sys.modules])
"""
    code = code.replace("COMMANDS", repr(every_command())).replace("HEAVY", repr(HEAVY))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("words", verbs(), ids=" ".join)
def test_every_help_ends_with_an_example_that_can_be_typed(words: list[str]) -> None:
    last = CliRunner().invoke(app, [*words, "--help"]).output.splitlines()[-1]
    assert re.match(rf"  Example: noisebench {' '.join(words)}( |$)", last)
    typed = shlex.split(last.partition("noisebench ")[2].partition(" > ")[0])
    parse(typed)  # or it raises


def test_a_group_alone_shows_its_help() -> None:
    for words in ([], ["data"], ["new"]):
        alone, asked = (CliRunner().invoke(app, [*words, *more]) for more in ([], ["--help"]))
        assert (alone.exit_code, alone.output) == (0, asked.output)


def test_the_help_names_every_command_and_every_exit_code() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert {words[0] for words in every_command() if words} <= set(text.split())
    codes = text[text.index("Exit codes:") :]
    assert [int(code) for code in re.findall(r"\b\d+\b", codes)] == list(ExitCode)


def test_the_documentation_tells_every_exit_code() -> None:
    text = (REPOSITORY / "docs" / "running.md").read_text(encoding="utf-8")
    table = text[text.index("## Exit codes") :]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)] == list(ExitCode)


def test_ctrl_c_is_told_in_one_line_and_leaves_with_75(capsys: pytest.CaptureFixture[str]) -> None:
    interrupted = typer.Typer(add_completion=False)

    @interrupted.command()
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as left, mock.patch.object(sys, "argv", ["noisebench"]):
        run_app(interrupted, "noisebench")
    assert left.value.code == ExitCode.STOPPED
    assert capsys.readouterr().err.strip() == "noisebench: stopped; the same command goes on from here"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["benhc"], "unknown command 'noisebench benhc': did you mean 'bench'?"),
        (["data", "nois"], "unknown command 'noisebench data nois': did you mean 'noise'?"),
        (["qqq"], "choose from: analyze, bench, "),
        (["bench", "--nose", "clean"], "no option '--nose': did you mean '--noise'? (see noisebench bench --help)"),
        (["bench", "--device", "gpu"], "'gpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["bench", "--suite", "snth"], "unknown suite 'snth': did you mean 'synth'?"),
        (["bench", "--noise", "clean,clsed30"], "unknown noise recipe 'clsed30': did you mean 'closed30'?"),
        (["bench", "--noise", "no.parquet"], "no.parquet: no such manifest"),
        (["bench", "--methods", "arcfase"], "unknown method 'arcfase': did you mean 'arcface'?"),
        (["bench", "--data", "nowhere"], "nowhere: no such folder"),
        (["bench", "--set", "epochs=3"], "did you mean 'training.epochs'?"),
        (["bench", "--set", "backbone.name=mfb"], "unknown backbone 'mfb': did you mean 'mbf'?"),
        (["train", "arcfase"], "unknown method 'arcfase': did you mean 'arcface'?"),
        (["schema", "suit"], "did you mean 'suite'?"),
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
