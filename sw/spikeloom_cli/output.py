"""How commands speak: an answer on stdout (a table, or one JSON object), progress and notes on stderr."""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """Told how much is done, of how much (0: unknown), and of what; from any thread."""

    def __call__(self, done: int = 0, total: int = 0, what: str = "") -> None: ...


Cells = Sequence[str]
PATIENCE_SECONDS = 8.0
_SECONDS = re.compile(r", \d+ s$")  # who reports adds how long it has taken; so do we, for all


@dataclass(frozen=True)
class Answer:
    """What a command found out.

    Members
    -------
    document : what --json prints, as one object.
    tables : what people see; as `table_text` takes them.
    failure : one line saying which check failed, or None; with it the command exits 1.
    """

    document: dict[str, Any]
    tables: tuple[tuple[Cells, ...], ...] = field(default=())
    failure: str | None = None

    def text(self, *, as_json: bool) -> str:
        """The answer as one line of JSON, or as tables."""
        if as_json:
            return json.dumps(self.document, allow_nan=False)
        return "\n\n".join(table_text(table) for table in self.tables)


@dataclass(frozen=True)
class Service(Answer):
    """An answer that is told before the work begins, which goes on until it is interrupted.

    Members
    -------
    work : ends by KeyboardInterrupt, which is no failure.
    held : what the work needs; let go of at the end, or where the answer cannot be told.
    """

    work: Callable[[], None] = field(kw_only=True)
    held: AbstractContextManager[object] = field(kw_only=True)


def table_text(rows: Sequence[Cells]) -> str:
    """Rows of cells in columns; the first row is the heads, or one cell that is a title.

    A column with a head and nothing but numbers below it is set flush right.
    """
    (head, *body) = rows
    titled = len(head) == 1
    measured = body if titled else rows
    widths = [max(map(len, column)) for column in zip(*measured, strict=True)]
    numeric = [not titled and all(map(_is_number, column)) for column in zip(*body, strict=True)] or [False] * len(
        widths
    )
    lines = [head[0]] if titled else []
    for row in measured:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or cell.replace(",", "").replace(".", "").replace(" %", "").lstrip("-").isdigit()


def named_rows(title: str, values: dict[str, str]) -> tuple[Cells, ...]:
    """A titled table of two columns: what, and how much."""
    return ((title,), *((f"  {name}", value) for name, value in values.items()))


def percent(fraction: float | None) -> str:
    """A fraction as people read it."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def as_options(settings: Mapping[str, float]) -> str:
    """Settings as they are typed behind a command."""
    return " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in settings.items())


@contextmanager
def reserved_stdout(reserve: bool) -> Iterator[TextIO]:
    """Stdout for the answer alone: whatever else writes there meanwhile, other programs included, lands on stderr."""
    if not reserve:
        yield sys.stdout
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stdout:
            yield stdout
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def working(title: str) -> Iterator[Progress]:
    """Show on stderr that something is going on, for as long as it does.

    On a terminal a bar that vanishes at the end; elsewhere a line every eight seconds, whether progress is told or not.
    """
    with _bar(title) if sys.stderr.isatty() else _lines(title) as progress:
        yield progress


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)

        def progress(done: int = 0, total: int = 0, what: str = "") -> None:
            text = _SECONDS.sub("", what)
            bars.update(task, completed=done, total=total or None, description=f"{title}: {text}" if text else title)

        yield progress


@contextmanager
def _lines(title: str) -> Iterator[Progress]:
    state = ""
    start = time.monotonic()
    ended = threading.Event()

    def progress(done: int = 0, total: int = 0, what: str = "") -> None:
        nonlocal state
        text = _SECONDS.sub("", what)
        state = (f": {text}" if text else "") + (f", {done} of {total}" if done else "")

    def tell() -> None:
        while not ended.wait(PATIENCE_SECONDS):
            print(f"  {title}{state}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield progress
    finally:
        ended.set()
        teller.join()


def note(text: str) -> None:
    """One line on stderr for people."""
    print(text, file=sys.stderr, flush=True)
