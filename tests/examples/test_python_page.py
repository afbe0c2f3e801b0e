"""The code of docs/python.md, run block after block as a reader would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisebench.noise.manifest import Manifest
from tests.analysis.runs import log_epoch, record
from tests.docs.commands import blocks_of
from tests.tiny import write_faces


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_faces(Path("data/faces"))
    folder = Path("results/runs/synth/closed30/arcface/seed0-0000")
    folder.mkdir(parents=True)
    record().write(folder)
    log_epoch(folder, 0, np.arange(5))
    scope: dict[str, Any] = {}
    for block in blocks_of("docs/python.md"):
        if block.language == "python":
            exec(compile(block.text, f"docs/python.md:{block.line}", "exec"), scope)
    printed = capsys.readouterr().out
    assert printed.startswith("11 of 36 labels are wrong")  # round(0.3 * 36)
    assert "unseen: " in printed
    assert "closed30 arcface 0" in printed
    assert Manifest.read(Path("closed30.parquet")).checksum == scope["manifest"].checksum
    assert scope["images"].shape == (12, 3, 48, 48)
    assert isinstance(scope["output"].loss, torch.Tensor)
    assert scope["options"]["margin"] == 0.4
    assert 0 <= scope["result"].accuracy <= 1
    assert len(scope["samples"]) == 5


def test_noisebench_alone_loads_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules); import noisebench; "
        "print([name for name in set(sys.modules) - before if name.startswith(('noisebench.', 'torch', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_room_that_is_not_there() -> None:
    import noisebench

    with pytest.raises(AttributeError, match="module 'noisebench' has no attribute 'metods'"):
        _ = noisebench.metods  # type: ignore[attr-defined]  # that is the point
