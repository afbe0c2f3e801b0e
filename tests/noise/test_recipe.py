from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from noisebench.config import recipe_names
from noisebench.errors import FileError, UserError
from noisebench.noise.recipe import NoiseRecipe, load_recipe, rates_in_name


def load(folder: Path, content: str, name: str = "mine") -> NoiseRecipe:
    file = folder / f"{name}.yaml"
    file.write_text(content)
    return load_recipe(str(file))


@pytest.mark.parametrize("name", recipe_names("noise"))
def test_every_shipped_recipe_is_what_its_name_says(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    if recipe.per_batch is not None:
        assert rates_in_name(name) == (recipe.per_batch.closed, recipe.per_batch.open)
    else:
        assert rates_in_name(name) == (None if recipe.identities.any else (recipe.closed.rate, recipe.open.rate))


def test_the_expected_recipes_are_shipped() -> None:
    percents = range(10, 60, 10)
    expected = {"clean", "c20o20", "c10o30", "c30o10"} | {f"{kind}{p}" for kind in ("closed", "open") for p in percents}
    assert expected <= set(recipe_names("noise"))


@pytest.mark.parametrize("written", ["0.29", "'0.29'", "0.290", "29e-2", "2.9e-1"])
def test_rates_are_the_decimals_that_are_written(tmp_path: Path, written: str) -> None:
    assert load(tmp_path, f"closed: {{rate: {written}}}").closed.rate == Decimal("0.29")


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("clean", ("0", "0")),
        ("closed05", ("0.05", "0")),
        ("open100", ("0", "1")),
        ("c20o15", ("0.2", "0.15")),
        ("m15o05", ("0.15", "0.05")),
        ("boundaryface_c30o10", ("0.3", "0.1")),
        ("boundaryface_closed20", ("0.2", "0")),
        ("noiseface60", ("0.3", "0.3")),
        ("noiseface5", ("0.025", "0.025")),
        ("hard20", ("0.2", "0")),
        ("longtail30", ("0.3", "0")),
    ],
)
def test_names_encode_rates_in_percent(name: str, rates: tuple[str, str]) -> None:
    assert rates_in_name(name) == tuple(map(Decimal, rates))


@pytest.mark.parametrize(
    "name", ["my_recipe", "closed", "closed30b", "xclosed30", "c20", "Clean", "closed3.5", "closed٣"]
)
def test_other_names_are_free(tmp_path: Path, name: str) -> None:
    assert rates_in_name(name) is None
    assert load(tmp_path, "closed: {rate: 0.123}", name).closed.rate == Decimal("0.123")


@pytest.mark.parametrize(
    ("name", "content", "key", "found", "expected"),
    [
        ("closed30", "closed: {rate: 0.2}", "closed.rate", "0.2", "0.3"),
        ("closed30", "closed: {rate: 0.3}\nopen: {rate: 0.1}", "open.rate", "0.1", "0"),
        ("open20", "closed: {rate: 0.2}", "closed.rate", "0.2", "0"),
        ("c20o20", "closed: {rate: 0.2}", "open.rate", "0", "0.2"),
        ("clean", "open: {rate: 0.01}", "open.rate", "0.01", "0"),
        ("m15o05", "closed: {rate: 0.15}\nopen: {rate: 0.5}", "open.rate", "0.5", "0.05"),
        ("noiseface40", "closed: {rate: 0.4}", "closed.rate", "0.4", "0.2"),
    ],
)
def test_a_name_that_disagrees_with_the_content_is_an_error(
    tmp_path: Path, name: str, content: str, key: str, found: str, expected: str
) -> None:
    with pytest.raises(FileError) as caught:
        load(tmp_path, content, name)
    assert str(tmp_path / f"{name}.yaml") in str(caught.value)
    assert f"key '{key}' is {found}, but the name '{name}' says {expected}:" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("closd: {rate: 0.2}", "unknown key 'closd': did you mean 'closed'?"),
        ("closed: {rat: 0.2}", "did you mean 'rate'?"),
        ("closed: {}", "key 'closed.rate' is missing"),
        ("closed: {rate: 0.2, targets: unifrom}", "key 'closed.targets' is 'unifrom'"),
        ("open: {rate: 0.2, labels: random_}", "key 'open.labels' is 'random_'"),
        ("chosen_per: batch", "key 'chosen_per' is 'batch'"),
        ("closed: {rate: 1.01}", "key 'closed.rate' is 1.01"),
        ("closed: {rate: -0.1}", "key 'closed.rate' is -0.1"),
        ("closed: {rate: true}", "key 'closed.rate' is True"),
        ("closed: {rate: 30%}", "key 'closed.rate' is '30%'"),
        ("closed: {rate: .nan}", "key 'closed.rate' is nan"),
        ("closed: {rate: .inf}", "key 'closed.rate' is inf"),
        ("closed: {rate: 0.12345678}", "key 'closed.rate' is 0.12345678"),
        ("closed: {rate: [0.2]}", "key 'closed.rate' is [0.2]"),
        ("closed:", "key 'closed' is None"),
        ("closed: {rate: 0.7}\nopen: {rate: 0.31}", "closed.rate 0.7 and open.rate 0.31 add up to more than 1"),
        ("closed: {rate: 0.1}\nclosed: {rate: 0.2}", "given twice"),
        ("name: other", "key 'name' is 'other', expected the file's own, 'mine'"),
        ("- closed", "expected a mapping"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(FileError) as caught:
        load(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rates_may_fill_the_set(tmp_path: Path) -> None:
    recipe = load(tmp_path, "closed: {rate: 0.7}\nopen: {rate: 0.3}")
    assert recipe.closed.rate + recipe.open.rate == 1


def test_an_unknown_recipe_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown noise recipe 'closd30': did you mean 'closed30'"):
        load_recipe("closd30")


def test_a_recipe_survives_json() -> None:
    recipe = load_recipe("c20o20")
    assert NoiseRecipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert '"rate":"0.2"' in recipe.model_dump_json()
