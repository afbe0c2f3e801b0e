"""The pages about methods, and that the committed one is what the docstrings say now."""

from pathlib import Path

import pytest

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.methods._page import all_pages, page

DOCUMENT = Path(__file__).parents[2] / "docs" / "methods.md"


@pytest.fixture(autouse=True)
def _nothing_but_what_is_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("noisebench.plugins.entry_points", lambda group: ())


def test_the_committed_page_is_up_to_date() -> None:
    remedy = "run: noisebench describe > docs/methods.md"
    assert DOCUMENT.read_text(encoding="utf-8") == all_pages(), remedy


def test_a_page_holds_docstring_options_and_recipes() -> None:
    text = page("elasticface")
    assert "    m_i ~ Normal(m, σ), for each sample i of the global batch\n" in text
    assert "| `std` | 0.05 | number ≥ 0 | σ, standard deviation of the margins. |" in text
    assert "| `margin_on` | angle | angle, cosine | Arc (in radians) or Cos. |" in text
    assert "`filter_threshold`" not in text
    assert "- `elasticface_arc_plus` (`plus: true, std: 0.0175`): ElasticFace-Arc+" in text


def test_a_default_of_its_own_is_told() -> None:
    assert "| `sub_centres` | 3 | integer ≥ 1 |" in page("subcenter_arcface")
    assert "`sub_centres` |" not in page("arcface")


def test_values_that_may_be_missing() -> None:
    assert "| `start_epoch` | null | integer ≥ 0 or null |" in page("boundaryf1")


def test_the_whole_links_what_it_mentions_and_ends_with_the_shared_options() -> None:
    text = all_pages()
    assert "as [`boundaryf1`](#boundaryf1) corrects it" in text
    assert all(f"\n## {name}\n" in text and f"| [`{name}`](#{name}) |" in text for name in methods.names())
    shared = text.split("## Options of every margin softmax")[1]
    assert all(f"| `{option}` |" in shared for option in MarginSoftmax.Options.model_fields)


def test_a_bar_does_not_end_a_cell() -> None:
    rows = [line for line in all_pages().splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} <= {3, 5}


def test_unknown_method() -> None:
    with pytest.raises(UserError, match="unknown method 'arcfase': did you mean 'arcface'"):
        page("arcfase")
