"""``noisebench new method``: what it writes works, is found and passes what every method must pass."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import noisebench
from noisebench.errors import UserError
from noisebench.methods._skeleton import write_method, write_package

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(path or ""), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


def assert_passes(folder: Path, *tests: str | Path, path: Path | None = None) -> None:
    """These tests of the method, and those of every method that are about it."""
    done = run(folder, "pytest", "-q", "-p", "no:cacheprovider", "-k", "my_method", *tests, path=path)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "failed" not in done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, to write into."""
    for folder in ("noisebench", "datasets_tools", "recipes", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "copy")
    return tmp_path / "copy"


def test_a_method_in_the_checkout_passes_the_conformance_suite(checkout: Path) -> None:
    done = run(checkout, "noisebench", "new", "method", "my_method")
    assert done.returncode == 0, done.stderr
    method = checkout / "noisebench" / "methods" / "my_method.py"
    assert f"wrote {method}\n" in done.stdout
    assert "Example:" in run(checkout, "noisebench", "new", "method", "--help").stdout
    assert "my_method" in run(checkout, "noisebench", "list", "methods").stdout.split()
    assert_passes(checkout, "tests/methods/test_my_method.py", "tests/conformance/test_methods.py")

    method.write_text("mine")
    again = run(checkout, "noisebench", "new", "method", "my_method")
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)
    assert "there is a method 'my_method' already" in again.stderr
    assert method.read_text() == "mine"
    method.unlink()  # its test alone is not overwritten either
    again = run(checkout, "noisebench", "new", "method", "my_method")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "test_my_method.py: already exists" in again.stderr
    assert not method.exists()


def test_a_package_passes_the_conformance_suite(tmp_path: Path) -> None:
    package = tmp_path / "package"
    done = run(tmp_path, "noisebench", "new", "method", "my_method", "--package", package, path=ROOT)
    assert done.returncode == 0, done.stderr
    assert f"pip install -e {package}" in done.stdout
    install(package)
    listed = run(tmp_path, "noisebench", "list", "methods", path=package)
    assert "my_method" in listed.stdout.split(), listed.stderr
    assert_passes(ROOT, package / "test_my_method.py", "tests/conformance/test_methods.py", path=package)

    again = run(tmp_path, "noisebench", "new", "method", "my_other", "--package", package)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert f"{package}: already exists" in again.stderr
    assert not (package / "noisebench_my_other.py").exists()


def install(package: Path) -> None:
    """Leave what pip leaves of an installed package, from its pyproject.toml."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    folder = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    sections = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(sections))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MyMethod", "cannot be a method's name"),
        ("my-method", "cannot be a method's name"),
        ("../up", "cannot be a method's name"),
        ("class", "cannot be a method's name"),
        ("recipe", "cannot be a method's name"),
        ("arcface", "there is a method 'arcface' already"),
        ("elasticface_cos", "there is a method recipe 'elasticface_cos' already"),
    ],
)
def test_bad_names(tmp_path: Path, name: str, told: str) -> None:
    for write in (write_method, lambda name: write_package(name, tmp_path / "package")):
        with pytest.raises(UserError, match=told):
            write(name)
    assert list(tmp_path.iterdir()) == []


def test_an_installed_noisebench_is_not_written_into(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(noisebench, "__file__", str(tmp_path / "noisebench" / "__init__.py"))
    with pytest.raises(UserError, match="is installed, not a checkout: write a package with --package FOLDER"):
        write_method("my_method")
    assert list(tmp_path.iterdir()) == []
