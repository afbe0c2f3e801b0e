"""The site of the documentation: every page is in it, it builds without a warning, and it fetches nothing."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import noisebench
from tests.docs.commands import PAGES, REPOSITORY
from tests.docs.record_page import page as record_page

FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="needs mkdocs-material: pip install 'noisebench[docs]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder


def test_every_page_has_its_place_in_the_navigation() -> None:
    settings = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = [f"docs/{file}" for part in settings["nav"] for entry in _only(part) for file in entry.values()]
    assert sorted(listed) == [page for page in PAGES if page.startswith("docs/")]


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    assert len(pages) == len(PAGES)  # all but README.md, and 404.html
    fetched = {page.name: FETCHED.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert {name: addresses for name, addresses in fetched.items() if addresses} == {}
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]+", styles) == []


def test_the_page_of_the_result_record_is_up_to_date() -> None:
    remedy = "run: python -m tests.docs.record_page docs/result-schema.md"
    assert (REPOSITORY / "docs/result-schema.md").read_text(encoding="utf-8") == record_page(), remedy


def test_the_citation_names_this_version_and_licence() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == noisebench.__version__
    assert citation["license"] == setup["metadata"]["license"]
    assert {"message", "title", "authors"} <= citation.keys()


def _only(part: dict[str, Any]) -> Any:
    """What the one key of a mapping stands for."""
    (value,) = part.values()
    return value
