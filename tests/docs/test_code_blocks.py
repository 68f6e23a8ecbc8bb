"""Every Python block of the README and the docs runs; every option that a shell block uses exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list:
    """(page, number, text) of every block in that language, as test parameters."""
    found = []
    for page in PAGES:
        texts = [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]
        found += [pytest.param(text, id=f"{page.name}-{number}") for number, text in enumerate(texts)]
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_runs(code: str) -> None:
    exec(compile(code, "block", "exec"), {"__name__": "block"})


def commands() -> list[list[str]]:
    """Every distinct `spikeloom ...` line of the shell blocks, split into words."""
    lines: list[list[str]] = []
    for parameter in blocks("sh"):
        text = str(parameter.values[0]).replace("\\\n", " ")
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["spikeloom"] and words not in lines:
                lines.append(words)
    return lines


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_options_of_shell_block_exist(words: list[str]) -> None:
    run = [sys.executable, "-m", "spikeloom_cli", words[1], "--help"]
    text = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert [word for word in words if word.startswith("--") and word not in text] == []
