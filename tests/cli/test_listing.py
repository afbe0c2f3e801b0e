"""``noisebench list``: every name with a line on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from noisebench import catalogue
from noisebench.cli import app


def listed(kind: str) -> dict[str, str]:
    """What ``list`` prints, by name."""
    lines = CliRunner().invoke(app, ["list", kind]).output.splitlines()
    return {name: text.strip() for name, _, text in (line.partition(" ") for line in lines)}


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("methods", {"arcface", "boundaryf1", "softmax", "elasticface_cos"}),
        ("noise", {"clean", "closed30", "open30", "boundaryface_c20o20"}),
        ("suites", {"synth", "ms1mv2-r50"}),
        ("backbones", {"small_ir", "iresnet50", "timm:NAME"}),
        ("testsets", {"lfw", "ijb"}),
        ("launchers", {"local", "slurm"}),
        ("recipes", {"noise/closed30", "methods/cosface", "suites/synth"}),
    ],
)
def test_every_name_has_its_line(kind: str, some: set[str]) -> None:
    found = listed(kind)
    assert some <= set(found)
    assert all(found.values())
    assert json.loads(CliRunner().invoke(app, ["list", kind, "--json"]).output) == found
    assert set(catalogue.names(kind)) == set(found) - {"timm:NAME"}  # which completion cannot complete


def test_without_a_kind_it_says_what_there_is() -> None:
    assert list(json.loads(CliRunner().invoke(app, ["list", "--json"]).output)) == list(catalogue.LISTS)


def test_a_recipe_of_ones_own_is_listed_and_a_broken_one_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recipes" / "noise"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("description: Two kinds, e.g. closed-set. And more.\nclosed: {rate: 0.1}")
    (folder / "broken.yaml").write_text("closed: [")
    monkeypatch.chdir(tmp_path)
    found = listed("noise")
    assert found["mine"] == "Two kinds, e.g. closed-set"
    assert found["broken"].startswith("cannot be used: no valid YAML")
    assert "closed30" in found
