"""Noise, data and methods in training loops of other people, as the examples show them."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

from tests.backbones import torchvision_operators
from tests.markdown import REPOSITORY
from tests.tiny import IDENTITIES, write_faces

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny data set, in the folder to work in."""
    monkeypatch.chdir(tmp_path)
    return write_faces(tmp_path / "faces")


def run(monkeypatch: pytest.MonkeyPatch, example: str, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [example, "--data", "faces", "--batch-size", "12", *arguments])
    runpy.run_path(str(EXAMPLES / example), run_name="__main__")


@pytest.mark.parametrize("example", ["plain_loop.py", "lightning_loop.py"])
def test_an_example_is_short(example: str) -> None:
    assert len((EXAMPLES / example).read_text().splitlines()) < 80


def test_plain_loop(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, "plain_loop.py", "--noise", "c20o20", "--method", "boundaryf1", "--epochs", "8")
    lines = capsys.readouterr().out.splitlines()
    losses = [float(found[1]) for line in lines if (found := re.search(r"loss ([\d.]+),", line))]
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    changed = [int(found[1]) for line in lines if (found := re.search(r"(\d+) labels changed", line))]
    assert changed[:2] == [0, 0], "boundaryf1 begins after a third of the epochs, so the head was told of them"
    assert re.fullmatch(r"unseen: accuracy \d+\.\d\d%", lines[-1])


@pytest.mark.filterwarnings("ignore")  # Lightning advises more workers, and the like
def test_lightning_loop(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torchvision_operators.define_missing()  # Lightning imports torchvision where it is installed
    run(monkeypatch, "lightning_loop.py", "--noise", "closed30", "--method", "curricularface", "--epochs", "2")
    assert re.search(r"unseen: accuracy \d+\.\d\d%", capsys.readouterr().out)
    (path,) = Path.cwd().glob("**/checkpoints/*.ckpt")
    state = torch.load(path, weights_only=True)["state_dict"]
    assert state["head.centres"].shape == (IDENTITIES, 128)
    assert state["head.t"] != 0, "the method's own state is saved"
