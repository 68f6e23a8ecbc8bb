"""Reports in a browser: complete by themselves, readable by everybody, on phones and desks, in light and dark."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, BrowserFailure
from report_pages import bare_facts, full_facts, hostile, large
from spikeloom_cli.report.facts import Facts
from spikeloom_cli.report.page import render

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all of them
CHECKS = (Path(__file__).parents[1] / "page_checks.js").read_text()
KINDS = ("full", "bare", "hostile", "large")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    full = full_facts(folder)
    kinds: dict[str, Facts] = {"full": full, "bare": bare_facts(folder), "hostile": hostile(full), "large": large(full)}
    paths = {}
    for name in KINDS:
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(render(kinds[name]))
    return paths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 400, 1400])
def test_page_is_right_in_a_browser(
    browser: Browser, pages: dict[str, Path], kind: str, dark: bool, width: int
) -> None:
    seen = browser.open(pages[kind], width, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach((item) => item.open = true)")
    result = browser.evaluate(CHECKS)
    assert result["found"] == []
    assert 4.5 <= result["least"] < 21
    assert (seen.errors, seen.requests) == ([], [])


def test_light_and_dark_have_grounds_of_their_own(browser: Browser, pages: dict[str, Path]) -> None:
    grounds = []
    for dark in (False, True):
        browser.open(pages["full"], 400, dark=dark)
        grounds.append(browser.evaluate(CHECKS)["background"])
    assert grounds == ["rgb(250, 249, 246)", "rgb(21, 20, 18)"]


def test_keyboard_shows_where_it_is_and_reaches_the_content(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"], 1400)
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    at = browser.evaluate(
        "(() => { const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();"
        " const there = box.left >= 0 && box.top >= 0;"
        " return [at.textContent, style.outlineStyle, parseFloat(style.outlineWidth), there]; })()"
    )
    assert at == ["Skip to the content", "solid", 3, True]
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
        )
    assert browser.evaluate("document.activeElement.id") == "content"


def test_words_from_files_are_shown_and_never_run(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"], 1400)
    assert browser.evaluate("document.querySelectorAll('script, b, iframe, [onload], [onerror]').length") == 0
    assert browser.evaluate("typeof window.owned") == "undefined"
    text = browser.evaluate("document.body.textContent")
    assert text.count("<script>owned=1</script>") >= 8
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert browser.evaluate("document.title").startswith("<script>owned=1</script>")


def test_page_can_be_sent_by_mail_however_much_is_in_it(pages: dict[str, Path]) -> None:
    assert pages["large"].stat().st_size < 1_500_000  # two thirds of 16 rasters of 96 neurons and 64 steps are spikes


BAD = """<!doctype html><html lang="en"><head><title>bad</title></head><body style="background:#fff;color:#aaa">
<h1>one</h1><h3>three</h3><h1>two</h1><p style="width:900px;background:#eee">wide</p>
<a href="#nowhere">x</a><p id="a">a</p><p id="a">b</p>
<svg width="9" height="9"></svg><img src="data:,x"><table><tr><td>1</td></tr></table>
<div style="overflow-x:auto;width:50px"><p style="width:200px">scrolls</p></div><span onclick="1">s</span>
<figure><svg viewBox="0 0 100 50" width="100" height="50"><title>f</title>
<text x="5" y="20">one</text><text x="8" y="22">two</text>
<text x="90" y="40">outside</text></svg></figure>
<script>console.error("said"); fetch("http://127.0.0.1:9/asked"); undefined_name()</script></body></html>"""


def test_checks_find_what_they_are_for(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(BAD)
    seen = browser.open(path, 400)
    found = "\n".join(browser.evaluate(CHECKS)["found"])
    for sentence in (
        "wide in a window of 400",
        "heading 'three' of level 3 comes after level 1",
        "there are 2 h1",
        "there is no main",
        "the first stop of the keyboard is no link to main",
        "an id is there twice",
        "link #nowhere leads nowhere",
        "svg has no role",
        "svg has no name",
        "a picture has no alt",
        "a table has no heads of columns",
        "a row has no head",
        "div scrolls, but not by keyboard",
        "span has onclick",
        "there is a script, a frame or a style sheet of its own",
        "'one' has a contrast of 2.32",
        "labels 'one' and 'two' overlap in 'f'",
        "label 'outside' of svg sticks out of its figure",
    ):
        assert sentence in found
    assert seen.requests == ["http://127.0.0.1:9/asked"]
    assert any("said" in error for error in seen.errors)
    assert any("undefined_name" in error for error in seen.errors)


def test_browser_that_is_not_there_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrowserFailure) as failure:
        Browser(tmp_path)
    assert str(failure.value) == f"Chromium is not in '{tmp_path}': `make chromium` puts it there, from npm and PyPI"


def test_browser_that_does_not_run_is_a_failure_with_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "chromium").write_text("#!/bin/sh\necho no library >&2\n")
    (tmp_path / "chromium").chmod(0o755)
    with pytest.raises(BrowserFailure) as failure, Browser(tmp_path):
        pass
    assert str(failure.value) == f"Chromium in '{tmp_path}' ended; it said: no library\n"


def test_page_says_the_same_for_the_same_facts(tmp_path: Path) -> None:
    facts = bare_facts(tmp_path)
    assert render(facts) == render(dataclasses.replace(facts))


def test_figures_are_as_many_as_there_are_samples_and_populations(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"], 1400)
    rasters = browser.evaluate("[...document.querySelectorAll('.raster figcaption')].map((item) => item.textContent)")
    assert rasters == ["input", "l1", "input", "l1"]
    cells = browser.evaluate(
        "[...document.querySelectorAll('.confusion tbody td:not(.share)')].map((i) => Number(i.textContent))"
    )
    assert np.sum(cells) == 60
