"""A process that dies while the others test: the run can go on all the same."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from noisebench.bench import execute
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.exit_codes import ExitCode
from tests.tiny import write_faces, write_suite

BROKEN = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711"


def test_a_run_that_lost_a_process_is_interrupted_and_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*arguments: object, **options: object) -> NoReturn:
        raise RuntimeError(BROKEN)

    faces, suite = write_faces(tmp_path / "faces"), str(write_suite(tmp_path))
    request = Request(suite=suite, noise=("clean",), methods=("arcface",), data=faces, results=tmp_path / "results")
    (cell,) = plan(request, lambda line: None)
    cell.record.write(cell.folder)
    cell.write()
    monkeypatch.setattr(execute, "evaluate_test_set", break_off)
    assert execute.main(cell.folder) == ExitCode.FAILED
    stored = cell.stored()
    assert stored is not None
    assert stored.status == "interrupted"
    assert stored.reason is not None
    assert stored.reason.startswith("the connection between processes broke; process 0 noticed it in 'model' after")
    assert not (cell.folder / execute.TRACEBACK_FILE).exists()
