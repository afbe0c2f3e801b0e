"""The commands of ``docs/evaluation-protocols.md``, typed one after the other."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from noisebench import backbones
from noisebench.cli import app
from noisebench.evaluation import protocols
from noisebench.models.model_file import save_model

PAGE = Path(__file__).parents[2] / "docs" / "evaluation-protocols.md"


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    size = (32, 32)
    network = backbones.create("small_ir", embedding_size=16, image_size=size)
    save_model(Path("model.pt"), network, name="small_ir", embedding_size=16, image_size=size)
    commands = "".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)).splitlines()
    assert len(commands) > 10
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "noisebench"
        small = ["--people", "4", "--image-size", "32"] if arguments[0] == "data" else []
        done = CliRunner().invoke(app, [*arguments, *small])
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception}"
        if "--json" in arguments:
            assert json.loads(done.output)["test_set"] == "pairs@gauss:sigma=1.5"


def test_the_page_lists_every_protocol() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE) == [
        *("lfw", "boundaryface", "ijb", "megaface", "tinyface", "ijbs")
    ]
    assert protocols.names() == sorted(["lfw", "boundaryface", "ijb", "megaface", "tinyface", "ijbs"])
