"""``table``, ``compare``, ``show`` and ``samples`` from the command line, mistakes included."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from noisebench.analysis.published import FIELDS, FILE
from noisebench.bench.cell import run_folder
from noisebench.bench.store import manifest_path
from noisebench.cli import app
from noisebench.errors import UserError
from tests.analysis.runs import log_epoch, manifest, record

NUM_ROWS = 6
PRINTED = {"ArcFace": 97, "Softmax": 95}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    truth = manifest([0, 0, 1, 1, 0, 0])
    data = record().data.model_copy(update={"num_images": NUM_ROWS})
    for method, seed, accuracy in (("arcface", 0, 0.9), ("arcface", 1, 0.8), ("softmax", 0, 0.7), ("softmax", 1, 0.7)):
        made = record(
            method=method, seed=seed, accuracy=accuracy, manifest_checksum=truth.checksum, data=data, history=[]
        )
        folder = run_folder(tmp_path, made)
        made.write(folder)
        angles = np.cos(np.linspace(0.1, 1.2, NUM_ROWS))
        log_epoch(folder, 0, np.arange(NUM_ROWS), cosine_label=angles, cosine_true=angles, used_label=truth.label)
    truth.write(manifest_path(folder.parents[1], truth.checksum, None))
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_table(results: Path) -> None:
    done = run("table", "--results", results, "--format", "latex", "--baseline", "softmax", "--no-published")
    assert done.exit_code == 0
    assert done.stdout.rstrip().endswith("\\end{table}")
    assert "not distinguishable from softmax" in done.stdout


def test_compare(results: Path) -> None:
    done = run("compare", "arcface", "softmax", "--results", results)
    assert done.exit_code == 0
    assert "not distinguishable (n=2)" in done.stdout


def test_compare_with_print(results: Path) -> None:
    rows = [f"{name},R50,CASIA,30%,,LFW,verification accuracy (%),{value},a:1," for name, value in PRINTED.items()]
    (results / FILE).write_text("\n".join([",".join(FIELDS), *rows]) + "\n", encoding="utf-8")
    done = run("compare", "--published", "--results", results)
    assert done.exit_code == 0
    assert "| ArcFace  | Softmax     | 2.00 | 1         | +15.00 |" in done.stdout
    (pair,) = json.loads(run("compare", "--published", "--results", results, "--json").stdout)
    assert (pair["better"], pair["verdict"]) == ("arcface", "same, within chance")


def test_json_for_scripts(results: Path) -> None:
    (table,) = json.loads(run("table", "--results", results, "--by", "testset", "--json").stdout)
    assert {cell["method"] for cell in table["cells"]} == {"arcface", "softmax"}
    same = run("table", "--results", results, "--by", "testset", "--format", "json")
    assert json.loads(same.stdout) == [table]
    compared = json.loads(run("compare", "arcface", "softmax", "--results", results, "--json").stdout)
    (made,) = compared["comparisons"]
    accuracy = next(metric for metric in made["metrics"] if metric["metric"] == "accuracy")
    assert (accuracy["a"]["mean"], accuracy["b"]["mean"]) == (pytest.approx(0.85), pytest.approx(0.7))
    assert accuracy["test"]["difference"]["mean"] == pytest.approx(-0.15)
    assert accuracy["verdict"] == "not distinguishable (n=2)"
    folder = next((results / "runs").glob("*/*/arcface/seed0-*"))
    shown = json.loads(run("show", folder, "--json").stdout)
    assert shown.pop("folder") == str(folder)
    assert shown.pop("logs") == ["samples of 1 epoch"]
    assert shown == json.loads((folder / "result.json").read_text())


def test_intervals_in_place_of_deviations(results: Path) -> None:
    done = run("table", "--results", results, "--interval", "bootstrap")
    assert "85.00** [80.00, 90.00]" in done.stdout
    assert "95 % bootstrap interval" in done.stdout
    assert run("table", "--results", results, "--interval", "normal").exit_code == 2


def test_show_with_and_without_saying_what(results: Path) -> None:
    folder = next((results / "runs").glob("*/*/arcface/seed0-*"))
    done = run("show", "run", folder)
    assert done.stdout.startswith("# arcface under closed30, seed 0\n")
    assert run("show", folder).stdout == done.stdout


def test_samples_as_text_and_json(results: Path) -> None:
    folder = next((results / "runs").glob("*/*/arcface/seed0-*"))
    found = json.loads(run("samples", folder, "--top", "2", "--json").stdout)
    assert [sample["index"] for sample in found] == [NUM_ROWS - 1, NUM_ROWS - 2]
    assert found[0]["kind"] == "clean"
    text = run("samples", folder, "--kind", "closed").stdout
    assert len(text.splitlines()) == 2 + 2
    assert run("samples", folder, "--kind", "open").stdout == "No sample of the run is such.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["table", "--results", "RESULTS", "--by", "noises"], "did you mean 'noise'"),
        (["table", "--results", "nowhere"], "holds no runs yet"),
        (["compare", "arcface", "sotfmax", "--results", "RESULTS"], "did you mean 'softmax'"),
        (["compare", "arcface", "softmax", "--results", "nowhere"], "holds no runs yet"),
        (["compare", "arcface", "--results", "RESULTS"], "give two runs or methods to compare, or --published"),
        (["compare", "arcface", "--published", "--results", "RESULTS"], "leave out 'arcface'"),
        (["compare", "--published", "--results", "RESULTS"], "no two methods with finished runs stand in one"),
        (["show", "nowhere"], "no such file"),
        (["show", "rum", "nowhere"], "did you mean 'run'"),
        (["samples", "nowhere"], "no such file"),
    ],
)
def test_a_mistake_is_told(results: Path, arguments: list[str], told: str) -> None:
    done = run(*(str(results) if argument == "RESULTS" else argument for argument in arguments))
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)
