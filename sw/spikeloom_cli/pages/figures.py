"""Measured figures in the text of a page: between two marks that a reader does not see, from a file of docs/results.

    ... at T=6 <!-- figure few_steps rows[timesteps=6].accuracy_snn .2% -->91.72%<!-- /figure --> of ...

The first mark names the file, the path to a number in it, and its format. A path is keys with dots between; of a list,
`[key=value]` takes the one row that has this value, and `[0]` the first.
"""

import json
import re
from pathlib import Path
from typing import Any

from spikeloom import SpikeloomError
from spikeloom.storage import write_whole

FIGURE = re.compile(r"<!-- figure (?P<file>\w+) (?P<path>\S+) (?P<form>\S+) -->(?P<text>.*?)<!-- /figure -->", re.S)
_PART = re.compile(r"\.?(?:(?P<key>\w+)|\[(?P<index>\d+)\]|\[(?P<name>\w+)=(?P<value>[^\]]+)\])")


def pages(docs: Path) -> list[Path]:
    """The pages that may have figures: the README, and all of docs/."""
    return [docs.parent / "README.md", *sorted(docs.rglob("*.md"))]


def filled(text: str, results: Path, page: str) -> str:
    """The text with every figure as its file says; SpikeloomError where one is not there."""

    def put(match: re.Match[str]) -> str:
        file, path, form = match["file"], match["path"], match["form"]
        source = results / f"{file}.json"
        who = f"Page '{page}': figure '{file} {path}'"
        if not source.is_file():
            raise SpikeloomError(f"{who}: must be in '{source}', which does not exist; run `make bench`")
        value = _found(json.loads(source.read_text()), path, who)
        return f"<!-- figure {file} {path} {form} -->{value:{form}}<!-- /figure -->"

    return FIGURE.sub(put, text)


def _found(value: Any, path: str, who: str) -> float:
    at = 0
    while at < len(path):
        part = _PART.match(path, at)
        if part is None:
            raise SpikeloomError(f"{who}: must be keys, [index] or [key=value], not '{path[at:]}'")
        try:
            value = _step(value, part)
        except (KeyError, IndexError, TypeError):
            raise SpikeloomError(f"{who}: must lead to one number, but there is no single '{part[0]}'") from None
        at = part.end()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpikeloomError(f"{who}: must lead to a number, not {type(value).__name__}")
    return value


def _step(value: Any, part: re.Match[str]) -> Any:
    if part["key"] is not None:
        return value[part["key"]]
    if part["index"] is not None:
        return value[int(part["index"])]
    rows = [row for row in value if str(row.get(part["name"])) == part["value"]]
    if len(rows) != 1:
        raise KeyError(part[0])
    return rows[0]


def update(docs: Path) -> list[Path]:
    """Write the pages whose figures are others now; those that were written."""
    written = []
    for page in pages(docs):
        text = page.read_text()
        new = filled(text, docs / "results", page.name)
        if new != text:
            write_whole(page, new.encode())
            written.append(page)
    return written
