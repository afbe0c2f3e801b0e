"""The page in a real Chromium, opened from disk: what it does, and that it complains of nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noisebench.report.page import write_report
from tests.report.browser import DESKTOP, PHONE, chromium, prefer, resize
from tests.report.made_up import MARKUP, many_rows, results_folder, without_logs


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def address(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    results = results_folder(folder / "results")
    for noise in ("closed30", "mixed10"):
        without_logs(results, noise)
    write_report(results, folder / "report.html", with_faces=False)
    return (folder / "report.html").as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    resize(browser, DESKTOP)
    prefer(browser, "light")
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    return browser


def rows(page: Any, column: int = 0) -> list[str]:
    """The text of a column of the leaderboard, of the rows that are seen."""
    script = """return [...document.querySelectorAll('#board tbody tr')].filter(row => row.offsetParent !== null)
        .map(row => row.cells[arguments[0]].innerText.trim())"""
    return list(page.execute_script(script, column))


def header(page: Any, column: int) -> Any:
    return page.find_elements("css selector", "#board thead th")[column]


def background(page: Any) -> list[int]:
    colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


def overflow(page: Any) -> int:
    """By how many CSS pixels the page is wider than its window; a phone's window grows with the page."""
    return int(
        page.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def test_the_console_stays_empty_and_no_name_becomes_markup(page: Any) -> None:
    assert page.get_log("browser") == []
    assert page.title == "noisebench report"
    assert MARKUP in rows(page)
    assert page.find_elements("css selector", "img[src='x']") == []


def test_a_click_sorts_numbers_from_the_highest_and_a_second_turns_them(page: Any) -> None:
    header(page, 2).find_element("tag name", "button").click()
    values = [float(text.split()[0]) for text in rows(page, 2)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 4
    assert header(page, 2).get_attribute("aria-sort") == "descending"
    header(page, 2).find_element("tag name", "button").click()
    assert [float(text.split()[0]) for text in rows(page, 2)] == values[::-1]
    assert header(page, 2).get_attribute("aria-sort") == "ascending"


def test_names_sort_by_keyboard_and_missing_numbers_come_last(page: Any) -> None:
    header(page, 1).find_element("tag name", "button").send_keys("\ue007")  # Enter
    assert rows(page, 1) == sorted(rows(page, 1))
    for _ in range(2):
        header(page, 3).find_element("tag name", "button").send_keys(" ")
        assert rows(page, 3)[-1] == "–"
    assert header(page, 1).get_attribute("aria-sort") is None


def test_filters_leave_what_fits(page: Any) -> None:
    everything = rows(page)
    page.find_element("css selector", "select[name=noise]").send_keys("clean")
    assert set(rows(page, 1)) == {"clean"}
    page.find_element("css selector", "select[name=method]").send_keys("arcface")
    assert rows(page) == ["arcface"]
    assert page.find_element("id", "shown").text == f"1 of {len(everything)} rows"
    page.execute_script("document.getElementById('filters').reset()")
    page.find_element("css selector", "input[name=text]").send_keys("SOFT")
    assert rows(page) == ["softmax"]


@pytest.mark.parametrize("size", [PHONE, DESKTOP, (320, 640)])
def test_nothing_is_wider_than_the_screen(page: Any, size: tuple[int, int]) -> None:
    resize(page, size)
    page.refresh()
    assert overflow(page) == 0


def test_light_and_dark_follow_the_system_until_one_is_chosen(page: Any) -> None:
    assert min(background(page)) > 200
    prefer(page, "dark")
    assert max(background(page)) < 60
    page.find_element("id", "theme").click()
    assert min(background(page)) > 200
    page.refresh()
    assert min(background(page)) > 200
    assert page.get_log("browser") == []


def test_it_prints_in_light_with_what_is_folded_away(page: Any) -> None:
    prefer(page, "dark")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    fold = "return document.querySelector('details dl').getBoundingClientRect().height"
    assert page.execute_script(fold) > 0
    assert page.execute_script("return getComputedStyle(document.querySelector('nav')).display") == "none"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")


def test_a_wide_and_long_leaderboard_scrolls_in_its_own_frame(browser: Any, tmp_path: Path) -> None:
    write_report(many_rows(tmp_path), tmp_path / "report.html", with_faces=False)
    resize(browser, PHONE)
    browser.get((tmp_path / "report.html").as_uri())
    assert overflow(browser) == 0
    assert len(rows(browser)) == 12
    assert browser.execute_script("const w = document.querySelector('.wide'); return w.scrollWidth > w.clientWidth")
    assert browser.get_log("browser") == []


def test_without_scripts_it_is_a_static_page(address: str, tmp_path: Path) -> None:
    with chromium(tmp_path, script=False) as driver:
        driver.get(address)
        found = driver.find_elements("css selector", "#board tbody tr")
        assert len(found) == 8
        assert all(row.is_displayed() for row in found)
        assert not driver.find_element("id", "filters").is_displayed()
        assert not driver.find_element("id", "theme").is_displayed()
        assert driver.find_elements("css selector", "thead button") == []
