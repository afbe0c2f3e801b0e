"""``noisebench train``: one run, which a bench finds done, with values set on the command line."""

from __future__ import annotations

from pathlib import Path

from noisebench.analysis.run_page import run_page
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.bench.store import all_runs
from tests.cli.commands import run
from tests.tiny import write_faces, write_suite


def test_one_run_is_trained_and_a_bench_finds_it_done(tmp_path: Path) -> None:
    faces, suite = write_faces(tmp_path / "faces"), write_suite(tmp_path)
    changed = ("training.epochs=1", "method.margin=0.25")
    sets = [f"--set={text}" for text in changed]
    done = run(tmp_path, "train", "arcface", "--suite", suite, "--data", faces, "--seed", "4", *sets)
    assert done.returncode == 0, done.stderr
    assert "%|" not in done.stderr  # no progress bar where there is no terminal
    assert "arcface" in done.stdout

    (trained,) = all_runs(tmp_path / "results")
    assert (trained.record.method, trained.record.seed, trained.record.noise) == ("arcface", 4, "closed30")
    assert trained.record.config["training"]["epochs"] == len(trained.record.history) == 1
    assert trained.record.config["method"]["options"]["margin"] == 0.25
    shown = run_page(trained)
    assert "tiny, with training.epochs=1, method.margin=0.25" in shown
    assert "| method.options.margin" in shown

    request = Request(
        suite=str(suite),
        overrides=("training.epochs=1", "methods.arcface.margin=0.25"),  # said in another way
        noise=("closed30",),
        methods=("softmax", "arcface"),
        seeds=(4,),
        data=faces,
        results=tmp_path / "results",
    )
    finished = {cell.record.method: cell.finished() is not None for cell in plan(request, lambda _: None)}
    assert finished == {"softmax": False, "arcface": True}
