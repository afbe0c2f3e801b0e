"""Recipes: found by name, and every mistake named with its file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from noisebench.config import Settings, read_settings, recipe_names, recipe_path
from noisebench.errors import FileError, UserError


class Inner(Settings):
    margin: float = 0.5


class Outer(Settings):
    name: str
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\ninner: {marjin: 0.3}", "unknown key 'inner.marjin': did you mean 'margin'?"),
        ("inner: {}", "key 'name' is missing"),
        ("nam: a", "unknown key 'nam': did you mean 'name'?"),
        ("name: a\ninner: {margin: wide}", "key 'inner.margin' is 'wide': Input should be a valid number"),
        ("name: a\nname: b", "key 'name' is given twice"),
        ("- a\n- b", "expected a mapping"),
        ("name: [a", "no valid YAML"),
        ("name: !!python/object/apply:os.system [id]", "no valid YAML"),
        ("1: a", "expected a mapping of names"),
    ],
)
def test_each_mistake_is_one_line_that_names_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(FileError) as caught:
        read_settings(file, Outer)
    assert told in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_recipe_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(FileError, match="larger than"):
        read_settings(file, Outer)


def test_an_unknown_recipe_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown noise recipe 'closd30': did you mean 'closed30'"):
        recipe_path("noise", "closd30")


def test_the_users_own_recipes_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "recipes" / "noise" / "closed30.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("name: closed30")
    monkeypatch.chdir(tmp_path)
    assert recipe_path("noise", "closed30").resolve() == mine
    assert recipe_path("noise", "closed20").is_file()
    assert "closed20" in recipe_names("noise")


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("name: my")
    assert recipe_path("noise", str(file)) == file
    with pytest.raises(FileError, match="no such recipe file"):
        recipe_path("noise", str(tmp_path / "other.yaml"))


@pytest.mark.parametrize("key", ["name", "nam"])
def test_a_bomb_of_aliases_is_told_in_a_short_line(tmp_path: Path, key: str) -> None:
    levels = [f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    file = tmp_path / "bomb.yaml"
    file.write_text(f"{key}: [&a0 [x], {', '.join(levels)}]")
    with pytest.raises(FileError) as caught:
        read_settings(file, Outer)
    assert len(str(caught.value)) < 500
