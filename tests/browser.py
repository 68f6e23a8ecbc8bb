"""A headless Chromium for tests, driven over two pipes: pages are loaded, measured by script, and photographed.

`make test` puts it into .cache/chromium (see requirements/chromium.py). Where it is not there, or does not run, tests
fail and say so.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

HOME = Path(__file__).resolve().parent.parent / ".cache" / "chromium"
PATIENCE_SECONDS = 60.0
FLAGS = (
    "--headless=shell", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--no-pings",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio",
    "--font-render-hinting=none", "--remote-debugging-pipe",
)  # fmt: skip
# The browser reads from descriptor 3 and writes to 4: move ours there, whichever they are, and become it.
LAUNCH = """
import fcntl, os, sys
kept = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]
for number, descriptor in enumerate(kept, 3):
    os.dup2(descriptor, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class BrowserFailure(AssertionError):
    """There is no browser, it ended, or it does not answer."""


@dataclass(frozen=True)
class Page:
    """What came of a page: every error and line on its console, and every address it asked for besides itself."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Browser:
    """One Chromium with one tab; a context manager.

    Parameters
    ----------
    home : folder with `chromium`, its libraries and fonts.
    """

    def __init__(self, home: Path = HOME) -> None:
        if not (home / "chromium").is_file():
            raise BrowserFailure(f"Chromium is not in '{home}': `make chromium` puts it there, from npm and PyPI")
        self.home, self.number, self.session = home, 0, ""
        self.buffer, self.events = b"", deque[dict[str, Any]]()
        self.page = Page()
        self.profile = Path(tempfile.mkdtemp(prefix="spikeloom-browser-"))

    def __enter__(self) -> "Browser":
        theirs_in, self.write = os.pipe()
        self.read, theirs_out = os.pipe()
        browser = [str(self.home / "chromium"), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        environment = os.environ | {
            "LD_LIBRARY_PATH": str(self.home / "al2023" / "lib"),
            "FONTCONFIG_PATH": str(self.home / "fonts"),
            "HOME": str(self.profile),
        }
        command = [sys.executable, "-I", "-c", LAUNCH, str(theirs_in), str(theirs_out), *browser]
        with (self.profile / "log").open("w") as log:
            self.process = subprocess.Popen(
                command, pass_fds=(theirs_in, theirs_out), env=environment, stderr=log, stdout=log
            )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """End the browser and remove all that it wrote."""
        self.process.kill()
        self.process.wait()
        os.close(self.write)
        os.close(self.read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, path: Path, width: int, *, dark: bool = False, height: int = 900) -> Page:
        """Load a file in a window of a width in CSS pixels, and wait until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.page = Page()
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive(end)
        self.evaluate("document.fonts.ready.then(() => true)")
        self._sort(path)
        return self.page

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, or what its promise comes to."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserFailure(f"script: {found['exceptionDetails']}")
        return found["result"].get("value")

    def photograph(self, path: Path, *, whole: bool = True, clip: dict[str, float] | None = None) -> None:
        """The page as a PNG file: all of it, the window, or a box of it in CSS pixels."""
        options: dict[str, Any] = {"captureBeyondViewport": whole or clip is not None}
        if whole and clip is None:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        if clip is not None:
            options["clip"] = clip | {"scale": 1}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **options)["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser for something, and wait for its answer; what else it says is kept in `events`."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        rest = json.dumps(message).encode() + b"\0"
        try:
            while rest:
                rest = rest[os.write(self.write, rest) :]
        except BrokenPipeError:
            raise self._failed("ended") from None
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._receive(end)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserFailure(f"{method}: {answer['error']}")
                result = answer["result"]
                assert isinstance(result, dict)
                return result

    def _receive(self, end: float) -> dict[str, Any]:
        """The next message; events are kept too."""
        while b"\0" not in self.buffer:
            if not select.select([self.read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise self._failed(f"did not answer for {PATIENCE_SECONDS:.0f} s")
            part = os.read(self.read, 1 << 20)
            if not part:
                raise self._failed("ended")
            self.buffer += part
        raw, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(raw)
        assert isinstance(message, dict)
        if "method" in message:
            self.events.append(message)
        return message

    def _sort(self, path: Path) -> None:
        """Of all events, what a page must not have."""
        for event in self.events:
            method, about = event["method"], event["params"]
            if method == "Network.requestWillBeSent":
                url = about["request"]["url"]
                if not url.startswith("data:") and url != path.resolve().as_uri():
                    self.page.requests.append(url)
            elif method == "Runtime.exceptionThrown":
                self.page.errors.append(str(about["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled":
                self.page.errors.append(str(about["args"]))
            elif method == "Log.entryAdded":
                self.page.errors.append(about["entry"]["text"])

    def _failed(self, what: str) -> BrowserFailure:
        said = (self.profile / "log").read_text(errors="replace")[-600:]
        return BrowserFailure(f"Chromium in '{self.home}' {what}; it said: {said or 'nothing'}")
