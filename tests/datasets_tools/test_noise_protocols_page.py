"""The worked example of docs/noise-protocols.md, computed again from the recipes that the page gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from datasets_tools.make_noise import make_manifest
from datasets_tools.neighbours import Neighbours
from datasets_tools.selection import rank
from noisebench.noise.manifest import KINDS
from noisebench.noise.recipe import NoiseRecipe
from tests.fabricated import FabricatedSet

PAGE = Path(__file__).parents[2] / "docs" / "noise-protocols.md"
BASE = FabricatedSet(np.arange(1, 13), np.repeat(np.arange(4, dtype=np.int32), [6, 3, 2, 1]), 4)
OUTLIERS = FabricatedSet(np.arange(100, 106), np.zeros(6, dtype=np.int32), 1)
CENTRES = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]])


def table(first_header: str) -> list[list[str]]:
    """The cells of the page's table whose first header is this, without its rule."""
    lines = PAGE.read_text(encoding="utf-8").split("### Worked example")[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_header} |"))
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]
    return [rows[0], *rows[2:]]


RECIPES = {name.strip("`"): recipe.strip("`") for name, recipe in table("column")[1:]}


@pytest.mark.parametrize("name", RECIPES)
def test_the_worked_example_is_what_its_recipe_makes(name: str, tmp_path: Path) -> None:
    recipe = NoiseRecipe.model_validate({"name": "example", **yaml.safe_load(f"{{{RECIPES[name]}}}")})
    np.save(tmp_path / "centres.npy", CENTRES)
    neighbours = Neighbours.find(tmp_path / "centres.npy", 1, BASE.labels, 4)
    manifest = make_manifest(recipe, BASE, OUTLIERS, seed=0, neighbours=neighbours)
    header, *rows = table("image")
    expected = [
        f"{KINDS[kind]} {label}" if kind else str(label)
        for kind, label in zip(manifest.kind.tolist(), manifest.label.tolist(), strict=True)
    ]
    assert [row[header.index(f"`{name}`")] for row in rows] == expected


def test_the_example_shows_the_images_ranks() -> None:
    ranks = [f"{place / 2**64:.3f}" for place in rank(0, BASE.keys).tolist()]
    images = zip(BASE.keys.tolist(), BASE.labels.tolist(), ranks, strict=True)
    header, *rows = table("image")
    assert [row[:3] for row in rows] == [[str(key), str(label), place] for key, label, place in images]
    assert header[3:] == [f"`{name}`" for name in RECIPES]
