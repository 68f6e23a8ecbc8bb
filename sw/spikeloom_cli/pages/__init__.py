"""Pages of docs/ that are made, not written: `make pages` does so, tests hold them to what they are made of."""

from collections.abc import Callable
from pathlib import Path

from spikeloom.storage import write_whole

from . import commands, figures, python, results

MADE: dict[str, Callable[[Path], str]] = {
    "reference/commands.md": commands.render,
    **python.rendered(),
    "results/README.md": results.render,
}
"""Each made page, below docs/, and what renders it, given the folder docs/."""


def update(docs: Path) -> list[Path]:
    """Write the made pages that are not what they are made of, and figures in others; those that were written."""
    written = []
    for name, render in MADE.items():
        page, text = docs / name, render(docs)
        if not page.is_file() or page.read_text() != text:
            page.parent.mkdir(exist_ok=True)
            write_whole(page, text.encode())
            written.append(page)
    return written + figures.update(docs)
