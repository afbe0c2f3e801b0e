"""The page as text: complete, self-contained, harmless, and honest about what it cannot show."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner, Result

from noisebench.analysis.published import FIELDS
from noisebench.cli import app
from noisebench.errors import FileError
from noisebench.report.collect import MethodPart, Report
from noisebench.report.leaderboard import Leaderboard
from noisebench.report.page import MAX_BYTES, render
from noisebench.report.pictures import Budget
from tests.analysis.made_up import made_up_run
from tests.report.made_up import FORMULA, MARKUP, results_folder, without_logs

VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Elements of a page as (tag, attributes), its text, and tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.misplaced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.misplaced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Result]:
    folder = tmp_path_factory.mktemp("page")
    out = folder / "report.html"
    result = report("--results", results_folder(folder / "results"), "--out", out, "--no-faces")
    return out.read_text(encoding="utf-8"), result


@pytest.fixture(scope="module")
def page(made: tuple[str, Result]) -> Page:
    return Page(made[0])


@pytest.fixture(scope="module")
def shown(page: Page) -> str:
    return " ".join(" ".join(page.text).split())


def test_it_is_written_and_says_what_could_not_be_read(made: tuple[str, Result]) -> None:
    text, result = made
    assert result.exit_code == 0
    assert len(text) < MAX_BYTES
    assert "report.html, 0." in result.stdout
    (warning,) = result.stderr.splitlines()
    assert "gce/seed0-damaged0/result.json: no result record of this version" in warning


def test_it_is_well_formed_and_fetches_nothing(page: Page) -> None:
    assert page.misplaced == []
    assert page.open == []
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), (tag, attributes)
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_names_from_files_are_shown_and_not_obeyed(page: Page, shown: str) -> None:
    assert len(page.all("script")) == 1
    assert MARKUP in shown
    assert FORMULA.replace("/", "\u2215") in shown
    assert "the loss is not finite <b>" in shown
    assert not page.all("b")
    assert not page.all("i")
    assert not [attributes for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_every_picture_has_a_text_and_every_heading_cell_a_scope(page: Page) -> None:
    assert len(page.all("img")) >= 10
    assert all(image["alt"] for image in page.all("img"))
    assert {cell["scope"] for cell in page.all("th")} == {"col", "row"}


def test_all_rows_of_the_leaderboard_are_there(page: Page, shown: str) -> None:
    rows = [(row["data-noise"], row["data-method"]) for row in page.all("tr") if "data-method" in row]
    formula = FORMULA.replace("/", "\u2215")
    methods = {
        "clean": [formula, "arcface"],
        "closed30": [MARKUP, "arcface", "cosface", "softmax"],
        "mixed10": ["arcface"] * 2,
    }
    assert sorted(rows, key=str) == sorted([(noise, name) for noise in methods for name in methods[noise]], key=str)
    values = [cell["data-value"] for cell in page.all("td") if "data-value" in cell]
    assert len(values) == 2 * len(rows)
    assert values.count("") == 1  # softmax has no rate of acceptance
    assert "90.50 ± 0.71 (n = 2)" in shown


def test_what_is_wrong_with_runs_is_said_in_its_place(shown: str) -> None:
    assert "Each run stands alone: synth/mixed10/arcface/seed0-mixed000 and" in shown
    assert "differ in code" in shown
    assert "seed 0 alone" in shown
    assert "cosface under closed30, seed 0:" in shown
    assert "no sample log here" in shown
    assert "curricularface, seed 0 closed30: failed: the loss is not finite <b>" in shown
    assert f"unknown method '{MARKUP}'" in shown


def test_provenance_is_complete(shown: str) -> None:
    for checksum in ("a" * 64, "b" * 64, "d" * 64, "e" * 64, "f" * 64):
        assert checksum in shown
    assert "commit 1234567890ab" in shown


def test_published_numbers_stand_beside_ours(tmp_path: Path) -> None:
    made_up_run(tmp_path, method="arcface")
    without_logs(tmp_path, "closed30")
    line = "ArcFace,ResNet-50,faces,25%,15%,faces,verification accuracy (%),93.14,a <paper>,"
    (tmp_path / "published.csv").write_text(f"{','.join(FIELDS)}\n{line}\n")
    assert report("--results", tmp_path).exit_code == 0
    text = " ".join(" ".join(Page((tmp_path / "report.html").read_text()).text).split())
    assert "ArcFace, published [1]" in text
    assert "93.14" in text
    assert "a <paper>" in text


def test_pictures_beyond_the_budget_are_left_out_and_counted() -> None:
    budget = Budget(2000)
    assert budget.faces([b"x" * 600]) == [f"data:image/jpeg;base64,{base64.b64encode(b'x' * 600).decode()}"]
    assert budget.figure(Figure(figsize=(4, 3)), "empty") is not None
    assert budget.faces([b"x" * 600, b"y" * 600]) is None
    budget.left = 100
    assert budget.figure(Figure(figsize=(4, 3)), "empty") is None
    assert budget.num_left_out == 3


def test_the_markdown_of_a_method_is_shown_and_its_html_is_not_obeyed() -> None:
    report = Report("now", "0", {}, [], Leaderboard((), []))
    report.methods = [MethodPart("mine", "| a |\n| :-: |\n| <b>x</b> [l](javascript:alert(1)) |\n", "")]
    page = Page(render(report))
    assert not page.all("b")
    assert not [link for link in page.all("a") if not (link["href"] or "").startswith("#")]
    assert not [attributes for _, attributes in page.elements if "style" in attributes]
    assert "<b>x</b>" in " ".join(page.text)


def test_a_folder_without_runs_is_no_mistake(tmp_path: Path) -> None:
    result = report("--results", tmp_path)
    assert result.exit_code == 0
    text = " ".join(Page((tmp_path / "report.html").read_text()).text)
    assert "There are no runs yet" in text
    assert "No run is done." in text


def test_a_folder_that_is_not_there_is_one(tmp_path: Path) -> None:
    result = report("--results", tmp_path / "nothing")
    assert isinstance(result.exception, FileError)
    assert "nothing: no such folder" in str(result.exception)
    assert not list(tmp_path.iterdir())
