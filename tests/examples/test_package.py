"""The example package, really installed: everything it adds is listed, described, benched with, and conforms."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from datasets_tools.synthetic import photograph
from noisebench import methods
from noisebench.bench.cell import Cell
from noisebench.bench.execute import execute
from noisebench.bench.store import Run, all_runs
from noisebench.cli import app
from noisebench.errors import UserError
from noisebench.noise.manifest import Manifest
from noisebench.noise.protocols import ChosenProtocol
from noisebench.training.distributed import Process
from noisebench.training.stopping import StopRequest
from tests.docs.commands import blocks_of, commands_of
from tests.markdown import REPOSITORY
from tests.methods.formula import assert_equals_formula, cross_entropy
from tests.tiny import IDENTITIES, IMAGES, SIZE, write_faces

PACKAGE = REPOSITORY / "examples" / "noisebench-example"

PAGE = "docs/extending.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that pip has installed the package into; for this process and those it starts it is installed."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(PACKAGE, folder / "source")  # pip leaves its traces beside the sources
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site"]
    subprocess.run([sys.executable, "-m", "pip", *map(str, install), str(folder / "source")], check=True, timeout=300)
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        patch.setenv("PYTHONPATH", str(folder / "site"))
        yield folder / "site"
    for name in set(sys.modules) - before:
        if name.startswith("noisebench_example"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def benched(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The run of the page's bench, after every command of the page has been typed in turn."""
    folder = tmp_path_factory.mktemp("bench")
    faces = write_faces(folder / "data" / "faces")
    for person in range(3):
        (faces / "people" / f"{person}").mkdir(parents=True)
        for image in range(2):
            photo = photograph(0, "verification", person, image, SIZE)
            (faces / "people" / f"{person}" / f"{image}.jpg").write_bytes(photo)
    for block in blocks_of(PAGE):
        if block.language == "yaml":
            path = folder / block.text.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(parents=True)
            path.write_text(block.text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands_of(PAGE):
            if command.words[0] == "noisebench":
                type_(command.words[1:])
        (run,) = all_runs(Path("results"))
        yield Run(run.folder.absolute(), run.record)


def type_(words: list[str]) -> None:
    """Type a command of noisebench; RUN stands for the folder of the only run."""
    typed = [str(all_runs(Path("results"))[0].folder) if word == "RUN" else word for word in words]
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 0, f"{words}: {result.output}{result.exception!r}"
    if words[0] == "bench":
        assert "pairs20: example_angles, seed 0: done in" in result.output
        assert "noisebench-example 0.1.0" in result.output, "the table says whose code it is of"


def test_what_the_page_prints_is_in_the_package() -> None:
    files = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml")]
    printed = [block.text for block in blocks_of(PAGE) if block.language in ("python", "toml")]
    assert len(printed) == 6
    assert [text for text in printed if not any(text in file for file in files)] == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("methods", "example_angles"),
        ("backbones", "example_net"),
        ("testsets", "example_one_shot"),
        ("noise-protocols", "example_pairs"),
        ("launchers", "example_order"),
    ],
)
def test_all_of_it_is_listed(site: Path, kind: str, name: str) -> None:
    listed = CliRunner().invoke(app, ["list", kind]).output
    (line,) = (line for line in listed.splitlines() if line.startswith(name))
    assert "  Example: " in line


def test_the_method_is_described(site: Path) -> None:
    described = CliRunner().invoke(app, ["describe", "example_angles"]).output
    assert "z_y = s · (1 - 2 · (θ_y + m) / π)" in described
    assert "| `margin` | 0.4 | number ≥ 0, < 3.14159 | m, in radians. |" in described


def test_the_method_is_its_formula(site: Path) -> None:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        margins = [0.3 if j == y else 0.0 for j in range(len(row))]
        logits = [8 * (1 - 2 * (math.acos(c) + m) / math.pi) for c, m in zip(row, margins, strict=True)]
        return cross_entropy(logits, y)

    head = methods.create("example_angles", num_classes=4, embedding_size=3, scale=8.0, margin=0.3)
    assert_equals_formula(head, row_loss)


def test_the_method_conforms(site: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "-k", "example_angles"]
    done = subprocess.run(
        [*command, "tests/conformance/test_methods.py"], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_noise_confuses_twos_and_grows_with_the_rate(site: Path) -> None:
    labels = np.repeat(np.arange(5, dtype=np.int32), 20)
    keys = np.arange(7, 107)
    chosen = []
    for rate in (0.1, 0.29):
        kind, label = ChosenProtocol(name="example_pairs", options={"rate": rate}).noise(keys, labels, 5, seed=1)
        rows = np.flatnonzero(kind)
        assert len(rows) == round(100 * rate)
        assert {(int(labels[row]), int(label[row])) for row in rows} == {(0, 1), (1, 0), (2, 3), (3, 2)}
        chosen.append(set(rows.tolist()))
    assert chosen[0] < chosen[1]


def test_a_bench_records_whose_code_it_is_of(benched: Run) -> None:
    record = benched.record
    assert [(code.kind, code.name) for code in record.code.plugins] == [
        ("method", "example_angles"), ("backbone", "example_net"), ("protocol", "example_one_shot"),
    ]  # fmt: skip
    assert {(code.package, code.version) for code in record.code.plugins} == {("noisebench-example", "0.1.0")}
    assert record.noise_counts == {"clean": 29, "closed": IDENTITIES * IMAGES // 5, "open": 0}
    (manifest,) = benched.folder.parents[1].glob("manifest-*.parquet")
    made_by = Manifest.read(manifest).origin.plugin
    assert made_by is not None
    assert (made_by.kind, made_by.name, made_by.version) == ("noise protocol", "example_pairs", "0.1.0")
    audited = CliRunner().invoke(app, ["data", "audit", str(manifest)])
    assert (audited.exit_code, "no difference" in audited.output) == (0, True)


def test_eval_gives_what_the_bench_did(benched: Run) -> None:
    arguments = ["eval", "--checkpoint", str(benched.folder), "--testset", "data/faces/people", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found, recorded = json.loads(result.output), benched.record.metrics["people"]
    assert found["provenance"]["protocol"] == "example_one_shot"
    assert found["counts"] == {"gallery": 3, "probes": 3}
    assert {key: found[key] for key in ("identification", "sha256")} == {
        "identification": recorded.identification, "sha256": recorded.sha256,
    }  # fmt: skip


def test_a_run_whose_package_has_changed_since_it_was_planned_ends_before_it_trains(benched: Run, site: Path) -> None:
    source = site / "noisebench_example" / "backbone.py"
    before = source.read_text()
    source.write_text(before + "# another version\n")
    told = (
        "planned with method 'example_angles' of noisebench-example 0.1.0, which is not installed here or has changed"
    )
    try:
        with pytest.raises(UserError, match=told):
            execute(Cell.read(benched.folder), Process(0, 1, torch.device("cpu")), StopRequest())
    finally:
        source.write_text(before)
