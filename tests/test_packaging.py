"""What an installed noisebench consists of: all its packages, all their files, and all that they import when loaded."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = ("noisebench", "datasets_tools")
IMPORTED_AS = {"opencv_python_headless": "cv2", "pyyaml": "yaml", "pillow": "PIL", "markdown_it_py": "markdown_it"}
COME_ALONG = {"jinja2": {"markupsafe"}}
"""What a requirement itself cannot do without."""


@pytest.fixture(scope="module")
def setup() -> ConfigParser:
    parser = ConfigParser()
    parser.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return parser


def entries(setup: ConfigParser, section: str, key: str) -> list[str]:
    return setup[section][key].split("\n")[1:]


def elsewhere(setup: ConfigParser) -> dict[str, str]:
    """Packages whose files lie in folders of other names: data that this checkout keeps in plain sight."""
    return {
        name.strip(): folder.strip()
        for line in entries(setup, "options", "package_dir")
        for name, folder in [line.split("=")]
    }


def folder_of(setup: ConfigParser, package: str) -> Path:
    return REPOSITORY / elsewhere(setup).get(package, package.replace(".", "/"))


def test_every_package_is_installed(setup: ConfigParser) -> None:
    listed = {folder_of(setup, package) for package in entries(setup, "options", "packages")}
    there = {file.parent for name in OURS for file in (REPOSITORY / name).rglob("__init__.py")}
    assert listed == there | {REPOSITORY / folder for folder in elsewhere(setup).values()}


def test_every_file_of_a_package_is_installed(setup: ConfigParser) -> None:
    packaged = set()
    for package, patterns in setup["options.package_data"].items():
        for pattern in re.split(r"\s*,\s*", patterns):
            found = set(folder_of(setup, package).glob(pattern))
            assert found, f"{package} has no {pattern}"
            packaged |= found
    there = {file for name in (*OURS, "recipes") for file in (REPOSITORY / name).rglob("*") if file.is_file()}
    assert {file for file in there - packaged if file.suffix not in (".py", ".pyc")} == set()


def test_what_modules_import_when_they_are_loaded_is_required(setup: ConfigParser) -> None:
    known = {*sys.stdlib_module_names, *OURS}
    for line in entries(setup, "options", "install_requires"):
        name = re.split("[^a-z0-9-]", line)[0].replace("-", "_")
        known |= {IMPORTED_AS.get(name, name), *COME_ALONG.get(name, ())}
    extras = {
        f"{file.relative_to(REPOSITORY)}: {name}"
        for ours in OURS
        for file in (REPOSITORY / ours).rglob("*.py")
        for name in imported(ast.parse(file.read_text(encoding="utf-8")).body)
        if name not in known
    }
    assert extras == set(), "an extra is imported where it is used, not when the module is loaded"


def imported(statements: list[ast.stmt]) -> Iterator[str]:
    """Names of the top-level packages that statements import, what is for type checkers alone left out."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0 and statement.module:
            yield statement.module.partition(".")[0]
