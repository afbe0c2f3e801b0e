"""Options of ``bench`` that do not go together, and ``status`` of nothing: one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bench", "--launcher", "slrum"], "unknown launcher 'slrum': did you mean 'slurm'?"),
        (["bench", "--slurm", "partition=gpu"], "--slurm and --wait are for --launcher slurm"),
        (["bench", "--launcher", "slurm", "--jobs", "2"], "--jobs, --cores and --memory are for --launcher local"),
        (["bench", "--launcher", "slurm", "--slurm", "gpu"], "--slurm 'gpu' is no KEY=VALUE"),
        (["bench", "--nnodes", "2"], "write for example --rendezvous node0:29500"),
        (["bench", "--nnodes", "2", "--rendezvous", "node0:port"], "write for example --rendezvous node0:29500"),
        (["bench", "--nnodes", "2", "--rendezvous", "127.0.0.1:29500", "--jobs", "2"], "goes with neither"),
        (["bench", "--rendezvous", "127.0.0.1:29500"], "say how many with --nnodes"),
        (["status"], "holds no runs yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
