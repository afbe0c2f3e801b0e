"""Suites: the shipped ones are sound and follow their sources where they say so; mistakes in one are one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from noisebench import backbones
from noisebench.bench.plan import plan
from noisebench.bench.record import ExpectedData
from noisebench.bench.request import Request
from noisebench.bench.suite import load_suite
from noisebench.bench.suite_page import compare, settings
from noisebench.cli.app import app
from noisebench.config import recipe_names
from noisebench.errors import FileError
from tests.tiny import IDENTITIES, IMAGES, SUITE, write_faces, write_suite

SHIPPED = {"synth", "lfw", "webface-r50", "ms1mv2-r50", "ms1mv2-r100", "ms1m-r50"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    write_faces(folder / "faces")
    write_suite(folder)
    return folder


def test_the_suites_of_the_issue_are_shipped() -> None:
    assert set(recipe_names("suites")) >= SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_suite_is_sound(name: str) -> None:
    suite = load_suite(name)
    assert suite.backbone.name in backbones.names()
    compared = compare(suite)  # raises where a published key is no setting
    assert all(one.note for one in compared if one.differs), "every difference is explained"
    assert {one.source for one in compared if one.source} <= suite.sources.keys()
    assert bool(suite.published) == bool(suite.sources)


def test_a_setting_is_shown_once_with_the_value_that_is_trained_with() -> None:
    found = settings(load_suite("webface-r50"))
    assert found["training.schedule.milestones"] == [5, 11, 18]
    assert found["training.momentum"] == 0.9  # a default
    assert found["methods.*.scale"] == 32.0
    assert found["methods.boundaryf1.start_epoch"] == 7
    assert "methods.boundaryf1.scale" not in found


def test_show_suite_marks_each_difference_and_prints_json() -> None:
    page = CliRunner().invoke(app, ["show", "suite", "ms1mv2-r50"]).stdout
    lines = {cells[2].strip(): cells[1].strip() for line in page.splitlines() if len(cells := line.split("|")) == 7}
    assert lines["training.epochs"] == ""
    assert lines["training.precision"] == "≠"
    content = json.loads(CliRunner().invoke(app, ["show", "suite", "ms1mv2-r50", "--json"]).stdout)
    differing = [one["key"] for one in content["settings"] if one["differs"]]
    assert f"{len(differing)} differences:" in page
    assert "training.precision" in differing


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ("training.epochz, value: 3, source: code", "unknown key 'training.epochz': did you mean 'training.epochs'"),
        ("training.epochs, value: 3, source: cod", "the source 'cod' .* did you mean 'code'"),
    ],
)
def test_a_published_value_must_be_of_a_setting_and_a_source(tmp_path: Path, changes: str, problem: str) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE + f"sources: {{code: here}}\npublished:\n  - {{key: {changes}}}\n")
    with pytest.raises(FileError, match=problem):
        compare(load_suite(str(path)).model_copy(update={"name": str(path)}))


def test_data_that_a_suite_does_not_expect_are_confirmed_and_recorded(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE + "expects: {classes: 85742, images: 36}\n")
    assert IDENTITIES * IMAGES == 36
    request = Request(suite=str(path), noise=("clean",), data=tiny / "faces", results=tmp_path / "results")
    with pytest.raises(FileError, match=r"6 classes and 36 images, where suite 'tiny' expects 85,742 .*--accept-data"):
        plan(request, lambda _: None)
    assert not (tmp_path / "results").exists()
    cells = plan(replace(request, accept_data=True), lambda _: None)
    assert {cell.record.data_expected for cell in cells} == {ExpectedData(classes=85742, images=36)}
    path.write_text(SUITE + "expects: {classes: 6}\n")
    assert {cell.record.data_expected for cell in plan(request, lambda _: None)} == {None}


def test_sets_are_joined_from_the_command_line_as_make_passes_them(tiny: Path, tmp_path: Path) -> None:
    write_faces(tmp_path / "more", seed=1)
    source = Path(f"{tiny / 'faces'},{tmp_path / 'more'}")
    request = Request(suite=str(tiny / "tiny.yaml"), noise=("closed30",), data=source, results=tmp_path / "results")
    cell = plan(request, lambda _: None)[0]
    assert cell.record.data.num_classes == 2 * IDENTITIES
    assert cell.record.data.num_images == 2 * IDENTITIES * IMAGES
    assert cell.record.data.name == "faces+more"
    assert cell.inputs.test_sets == (str((tiny / "faces" / "unseen.bin").resolve()),)
    assert cell.inputs.outliers is None  # closed-set noise needs none


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("epochs: 3", "epochs: 3\n  augment: {crop: 1.2}", "'training.augment.crop' is 1.2: .*less than or equal to 1"),
        (
            "epochs: 3",
            "epochs: 3\n  augment: {cropp: 0.2}",
            "unknown key 'training.augment.cropp': did you mean 'crop'",
        ),
        (
            "kind: poly, learning_rate: 0.05, power: 1.0",
            "kind: step, milestones: [2, 3]",
            r"\[3\] lie past the end of 3",
        ),
    ],
)
def test_a_mistake_in_a_suite_is_one_line(tmp_path: Path, before: str, after: str, problem: str) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE.replace(before, after))
    with pytest.raises(FileError, match=problem) as error:
        load_suite(str(path))
    assert "\n" not in str(error.value)
