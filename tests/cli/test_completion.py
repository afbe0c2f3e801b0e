"""What the shell is offered on TAB, by the protocol that the completion script speaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPLETE = """
import sys
from noisebench.cli import main
try:
    main()
finally:
    heavy = [name for name in ("torch", "pandas", "matplotlib") if name in sys.modules]
    if heavy:
        print("loaded", *heavy)
"""


def offered(folder: Path, line: str) -> list[str]:
    """What bash would offer for the last word of a line."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_NOISEBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("noisebench ben", ["bench"]),
        ("noisebench data mat", ["materialize"]),
        ("noisebench bench --meth", ["--methods"]),
        ("noisebench bench --suite syn", ["synth"]),
        ("noisebench bench --noise closed3", ["closed30"]),
        ("noisebench bench --methods arcface,cos", ["arcface,cosface"]),
        ("noisebench bench --methods arcface,arcf", []),
        ("noisebench bench --noise clean,open3", ["clean,open30", "clean,open30_random"]),
        ("noisebench train cosf", ["cosface"]),
        ("noisebench data noise closed3", ["closed30"]),
        ("noisebench show suite syn", ["synth"]),
        ("noisebench eval --backbone small", ["small_ir"]),
        ("noisebench describe arcf", ["arcface"]),
        ("noisebench list meth", ["methods"]),
        ("noisebench bench --launcher sl", ["slurm"]),
        ("noisebench bench --methods nothing_is_called_so", []),
        ("noisebench no_such_verb x", []),
    ],
)
def test_names_are_completed_without_anything_heavy(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert offered(tmp_path, line) == expected


def test_runs_are_completed(tmp_path: Path) -> None:
    runs = [f"results/runs/synth/closed30/{method}/seed0-0123abcd" for method in ("arcface", "cosface")]
    for run in runs:
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "result.json").touch()
    assert offered(tmp_path, "noisebench analyze results/ru") == runs
    assert offered(tmp_path, "noisebench show results/runs/synth/closed30/a") == runs[:1]
    assert offered(tmp_path, "noisebench similarity a.jpg --checkpoint results/runs/synth/closed30/cos") == runs[1:]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself_completes(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "noisebench"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m noisebench "$@"\n')
    command.chmod(0o755)
    script = """
eval "$(_NOISEBENCH_COMPLETE=source_bash noisebench)"
COMP_WORDS=(noisebench bench --methods arcface,cos) COMP_CWORD=3 COMP_LINE="${COMP_WORDS[*]}" COMP_POINT=${#COMP_LINE}
$(complete -p noisebench | sed 's/.*-F \\([^ ]*\\).*/\\1/') noisebench arcface,cos --methods
printf '%s\\n' "${COMPREPLY[@]}"
"""
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("arcface,cosface\n", "")
