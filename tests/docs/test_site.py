"""The site builds without a warning, fetches nothing from elsewhere, and every link of a page leads somewhere."""

import os
import posixpath
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
TREES = ("docs", "hw", "sw", "sim", "tests", "requirements")
PAGES = sorted([*ROOT.glob("*.md"), *(page for tree in TREES for page in (ROOT / tree).rglob("*.md"))])
# tags whose attribute makes a browser fetch something by itself
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "object": "data", "source": "src"}
ELSEWHERE = re.compile(r"""(?:url\(|@import )["']?((?:https?:)?//[^"')]+)""")  # in a style sheet


@cache
def tokens(page: Path) -> list[Token]:
    blocks = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    return [token for block in blocks for token in (block, *(block.children or ()))]


@cache
def anchors(page: Path) -> set[str]:
    """What GitHub and the site call the headings of a page; the second of a name has -1 behind it."""
    found: Counter[str] = Counter()
    names = set()
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    for before, token in pairwise(parsed):
        if before.type == "heading_open":
            text = "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))
            name = "".join(c for c in text.lower() if c.isalnum() or c in " -_").replace(" ", "-")
            names.add(f"{name}-{found[name]}" if found[name] else name)
            found[name] += 1
    return names


def links(page: Path) -> list[str]:
    found = [str(token.attrs["href"]) for token in tokens(page) if token.type == "link_open"]
    return found + [str(token.attrs["src"]) for token in tokens(page) if token.type == "image"]


def wrong(page: Path, link: str) -> str | None:
    """What is wrong with a link, or None; those to other machines are only read."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        good = parts.scheme in ("http", "https") and "." in parts.netloc and not set(link) & set(" <>\"'")
        return None if good else f"{link}: is no address"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return f"{link}: is not there"
    if parts.fragment and (target.suffix != ".md" or parts.fragment not in anchors(target)):
        return f"{link}: has no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert [found for link in links(page) if (found := wrong(page, link)) is not None] == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "howto" / "debug-a-divergence.md"
    assert wrong(page, "look-at-waveforms.md#a-picture") is None
    assert wrong(page, "#make-it-small") is None
    assert wrong(page, "look-at-waveforms.md#pictures") == "look-at-waveforms.md#pictures: has no such heading"
    assert wrong(page, "look-at.md") == "look-at.md: is not there"
    outside = os.path.relpath(tmp_path, page.parent)  # is there, but not in a checkout
    assert wrong(page, outside) == f"{outside}: is not there"
    assert wrong(page, "http://nowhere") == "http://nowhere: is no address"


class Page(HTMLParser):
    """Links, anchors, and what a browser would fetch, of a built page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {str(values[name]) for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        if tag in FETCHED and values.get(FETCHED[tag]):
            self.fetched.append(str(values[FETCHED[tag]]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The built pages, by their path; the build has no warnings."""
    folder = tmp_path_factory.mktemp("site")
    run = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/site/mkdocs.yml", "-d", str(folder)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {str(path.relative_to(folder)): Page(path.read_text()) for path in folder.rglob("*.html")}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    others = {name: Page("") for name in files - pages.keys()}
    for name, page in others.items():
        if name.endswith(".css"):
            page.fetched = ELSEWHERE.findall((folder / name).read_text())
    return pages | others


def missing(site: dict[str, Page], name: str, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    inner = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
    inner = "index.html" if inner == "." else inner
    return inner not in site or parts.fragment not in site[inner].anchors


def test_links_of_the_site_lead_somewhere(site: dict[str, Page]) -> None:
    # 404.html is served from anywhere, so its paths begin at the top
    pages = {name: page for name, page in site.items() if name.endswith(".html") and name != "404.html"}
    assert {"index.html", "howto/flash-a-board.html", "decisions/0001-clamp-ceiling.html"} <= pages.keys()
    every = [(name, link) for name, page in pages.items() for link in page.links + page.fetched]
    assert [item for item in every if missing(site, *item)] == []
    assert len(every) > 1000


def test_pages_of_the_site_fetch_nothing_from_elsewhere(site: dict[str, Page]) -> None:
    fetched = {link for page in site.values() for link in page.fetched}
    assert [link for link in fetched if urlsplit(link).netloc] == []
    assert any(link.endswith(".css") for link in fetched)


def test_every_page_of_docs_is_on_the_site(site: dict[str, Page]) -> None:
    """And so are README, CHANGELOG and CONTRIBUTING, by what they say."""
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs").with_suffix(".html"))
        assert name.replace("README.html", "index.html") in site, page
    assert {"two-commands", "folders"} <= site["index.html"].anchors
    assert "what-a-change-looks-like" in site["CONTRIBUTING.html"].anchors
    assert "a-trained-module" in site["notebooks/from-module-to-waveform.html"].anchors
