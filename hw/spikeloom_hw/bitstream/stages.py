"""What the tools are doing, in a few words for people: which stage, what of it, how long it has been going on."""

import re
import threading
import time
from collections.abc import Callable

SPEAK_SECONDS = 5.0


class Stopped(Exception):
    """Raised within a tool's run to end it, because nobody wants its result any more."""


class Stages:
    """Turns the tools' output into progress.

    Parameters
    ----------
    progress : called with a few words when a stage begins, and every few seconds within it; or None.

    Members
    -------
    stage : name of the stage the tools are in.
    stopped : set it, and the tool that speaks here ends within a second.
    """

    BEGINS = (
        (re.compile(r"^Info: Creating initial .*placement"), "place"),
        (re.compile(r"^Info: Routing( globals)?\.\."), "route"),
    )
    DETAIL = re.compile(
        r"^(?:\d+(?:\.\d+)*\. Executing (?P<pass>[A-Z0-9_]+)|Info:\s+at (?P<iteration>iteration #\d+)"
        r"|Floor: (?P<plan>.*)|Info: +\d+ \|[^|]+\|[^|]+\| *(?P<left>\d+)\|)"
    )

    def __init__(self, progress: Callable[[str], None] | None, stopped: threading.Event | None = None) -> None:
        self.stage = "start"
        self.stopped = stopped or threading.Event()
        self._detail = ""
        self._progress = progress
        self._spoken = time.monotonic()

    def begin(self, stage: str) -> None:
        """Say that a stage begins, unless it has."""
        if stage != self.stage:
            self.stage, self._detail = stage, ""
            self._say(stage)

    def hear(self, line: str) -> None:
        """Take a line of the tools' output."""
        for pattern, stage in self.BEGINS:
            if pattern.match(line):
                self.begin(stage)
        match = self.DETAIL.match(line)
        if match:
            left = match["left"] and f"{match['left']} wires left"
            self._detail = match["pass"] or match["plan"] or match["iteration"] or left

    def speak(self, seconds: float) -> None:
        """Say where we are, if nothing was said for a while; `seconds` since the tool began."""
        if self.stopped.is_set():
            raise Stopped
        if time.monotonic() - self._spoken >= SPEAK_SECONDS:
            self._say(f"{self.stage}{f' ({self._detail})' if self._detail else ''}, {seconds:.0f} s")

    def _say(self, text: str) -> None:
        self._spoken = time.monotonic()
        if self._progress is not None:
            self._progress(text)
