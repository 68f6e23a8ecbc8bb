"""The page that lists the result files, docs/results/README.md."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..bench.measures import ALL
from ..bench.papers import PAPERS
from ..bench.papers.page import table

HEAD = """# Results

Written by `make pages` from the files of this folder. Every measured figure of the README and of these pages comes from
one of them; each says the command that made it, its seed, the machine, and the versions of the tools. A benchmark of
`make bench` or `make bench-conversion` is made again by itself with `ONLY=name`.
"""
BOARDS, METHODS = "[boards](../reference/boards.md)", "[methods](../reference/methods.md)"
README = ("conversion", "core", "deep", "few_steps", "peers")  # what its tables are made of


def render(docs: Path) -> str:
    """The page, from the result files there are."""
    rows = [_row(path) for path in sorted((docs / "results").glob("*.json"))]
    return "\n".join([HEAD, *table("file | what | data | made by | shown in", rows)]) + "\n"


def _row(path: Path) -> list[Any]:
    result = json.loads(path.read_text())
    name = path.stem
    made = result["command"].split(" (")[0] + ("-conversion" if name in PAPERS else "")
    shown = ["[README](../../README.md)"] if name in README else []
    shown += [METHODS] if name in PAPERS else [BOARDS] if name == "boards" else []
    data = result.get("data") or result.get("network") or "-"
    return [f"[{name}]({path.name})", _what(name), data, f"`{made}`", ", ".join(shown) or "-"]


def _what(name: str) -> str:
    """What a result is of: the first line of what its benchmark says of itself."""
    benchmarks: dict[str, Callable[..., Any]] = {**ALL, **PAPERS}
    if name not in benchmarks:
        return "The digits on every board" if name == "boards" else "-"
    return (benchmarks[name].__doc__ or "").strip().splitlines()[0].rstrip(".:")
