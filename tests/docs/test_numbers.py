"""Measured numbers of README and docs come from docs/results; whoever writes one by hand is told so."""

import ast
import json
import re
from pathlib import Path

import pytest
from constants import CONSTANTS
from spikeloom import SpikeloomError
from spikeloom.link.frames import frame
from spikeloom_cli.bench import readme
from spikeloom_cli.bench.papers import page as methods
from spikeloom_cli.pages import MADE, figures

ROOT = Path(__file__).resolve().parents[2]
DOCS, RESULTS = ROOT / "docs", ROOT / "docs" / "results"
NUMBER = r"(?:\d[\d,. ]*|(?:half an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a hundred)\s+)"
UNIT = (
    r"(?:%|percent\b|points\b|[kMG]?Hz\b|cycles?\b|[mµun]?s\b|(?:milli|micro|nano)?seconds?\b|minutes?\b|hours?\b"
    r"|(?:images|samples|frames|inferences)(?:/s\b|\s+a\s+second)|[kM]B(?:/s\b)?|LUTs?\b|COMB\b|(?:block )?RAMs?\b"
    r"|RAM blocks\b|SOPs?\b|[pfnµum]?J\b|mW\b)"
)
MEASURED = re.compile(rf"(?<![\w.=/-]){NUMBER}\s?{UNIT}(?!\w)")
# no sentences of ours: code, what stands between marks, addresses
ASIDE = re.compile(
    r"^```.*?^```|^ {4}\S.*?$|``.*?``|`[^`]*`|<!-- results:.*?<!-- /results -->|\]\([^)]*\)", re.M | re.S
)
# pages that are made of results or of code, and records of what was decided when
OTHERS = {*MADE, "reference/methods.md", "reference/boards.md"}


def written() -> list[Path]:
    """The pages that somebody wrote, and may write a number into."""
    every = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    return [page for page in every if "decisions" not in page.parts and str(page.relative_to(ROOT))[5:] not in OTHERS]


def numbers(text: str) -> list[str]:
    """Numbers with a unit of measurement that stand in a text by hand, with single blanks."""
    text = ASIDE.sub(" | ", figures.FIGURE.sub(" | ", text))
    return [" ".join(found.group().split()) for found in MEASURED.finditer(text)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", written(), ids=name)
def test_no_measured_number_is_written_by_hand(page: Path) -> None:
    known = CONSTANTS.get(name(page), {})
    assert [number for number in numbers(page.read_text()) if number not in known] == [], (
        "take it from docs/results (spikeloom_cli.pages.figures), or say in constants.py why it is none"
    )


def test_every_constant_is_still_on_its_page() -> None:
    stale = [
        (page, number) for page, known in CONSTANTS.items() if page != "spikeloom_cli" for number in known
        if number not in numbers((ROOT / page).read_text())
    ]  # fmt: skip
    assert stale == []
    assert all(reason for known in CONSTANTS.values() for reason in known.values())


@pytest.mark.parametrize(
    "text",
    ["it has 98.1% now", "93.4 MHz", "takes 422 cycles", "8,309 LUTs", "in 3.7 µs", "312 images/s", "12 kB/s",
     "loses 0.3 points", "| 98.61% |", "nine cycles", "half a minute", "110 COMB a lane", "312 images\na second"],
)  # fmt: skip
def test_a_measured_number_is_noticed(text: str) -> None:
    assert len(numbers(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["8N1, T=4", "`93.4 MHz`", "```text\n98.1%\n```\n", "[x](y-3%20s)", "32 bits", "two-phase",
     "<!-- figure core rows[0].synthesised.fmax_mhz .1f -->93.4 MHz<!-- /figure -->"],
)  # fmt: skip
def test_other_numbers_are_left_alone(text: str) -> None:
    assert numbers(text) == []


@pytest.mark.parametrize("page", figures.pages(DOCS), ids=name)
def test_figures_are_what_their_files_say(page: Path) -> None:
    assert page.read_text() == figures.filled(page.read_text(), RESULTS, page.name), "make pages"


def test_tables_of_the_readme_are_what_the_files_say() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == readme.filled(text, RESULTS), "make bench, or `python -m spikeloom_cli.pages`"
    begin, end = text.index(readme.BEGIN), text.index(readme.END)
    altered = text[:begin] + re.sub(r"\d", "5", text[begin:end]) + text[end:]
    assert altered != text == readme.filled(altered, RESULTS)


@pytest.mark.parametrize("module", [readme, methods])
def test_what_makes_pages_says_no_measured_number_itself(module: object) -> None:
    """A number in the text of a generator is written by hand as well."""
    source = Path(str(module.__file__)).read_text()  # type: ignore[attr-defined]
    texts = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    found = [number for text in texts if isinstance(text, str) for number in numbers(text)]
    assert [number for number in found if number not in CONSTANTS["spikeloom_cli"]] == []


def test_a_figure_is_taken_from_its_place(tmp_path: Path) -> None:
    rows = [{"t": 4, "accuracy": 0.5}, {"t": 6, "accuracy": 0.75, "good": True}]
    (tmp_path / "some.json").write_text(json.dumps({"rows": rows}))

    def said(path: str) -> str:
        return figures.filled(f"a <!-- figure some {path} .1% -->?<!-- /figure --> b", tmp_path, "p.md")

    assert said("rows[t=6].accuracy") == "a <!-- figure some rows[t=6].accuracy .1% -->75.0%<!-- /figure --> b"
    assert said("rows[0].accuracy") == "a <!-- figure some rows[0].accuracy .1% -->50.0%<!-- /figure --> b"
    for path, why in {
        "rows[t=5].accuracy": "must lead to one number, but there is no single '[t=5]'",
        "rows[2].accuracy": "must lead to one number, but there is no single '[2]'",
        "rows[1].good": "must lead to a number, not bool",
        "rows": "must lead to a number, not list",
        "rows..t": "must be keys, [index] or [key=value], not '..t'",
    }.items():
        with pytest.raises(SpikeloomError) as error:
            said(path)
        assert str(error.value) == f"Page 'p.md': figure 'some {path}': {why}"


def test_sizes_on_the_line_are_those_of_the_codec() -> None:
    """The table of link.md: payload, bytes on the line, what that is more."""
    rows = re.findall(r"^\| (\d+)[^|]* \| (\d+) \| ([\d.]+) % \|$", (DOCS / "reference" / "link.md").read_text(), re.M)
    assert [int(row[0]) for row in rows] == [64, 256, 784, 3072]
    for payload, line, overhead in rows:
        parts = [bytes([1]) * min(256, int(payload) - at) for at in range(0, int(payload), 256)]
        assert sum(len(frame(bytes(2) + part)) for part in parts) == int(line)
        assert overhead == f"{100 * (int(line) / int(payload) - 1):.1f}"
