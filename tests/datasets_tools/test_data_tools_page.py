"""The commands of ``docs/data-tools.md``, typed one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from noisebench.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "data-tools.md"


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = "".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)).splitlines()
    assert len(commands) > 15
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "noisebench"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == ("exit code 1" in command), f"{command}\n{done.output}\n{done.exception}"
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "data/faces/synth_unseen.bin").read_bytes()
