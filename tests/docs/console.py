"""Pages whose ```console blocks show commands and what they print: read, run, compared.

`python tests/docs/console.py PAGE` writes what the commands print now into the page.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CONSOLE = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
PYTHON = re.compile(r"^Save this as `([\w.]+)`.*?^```python\n(.*?)^```", re.M | re.S)
PATIENCE_SECONDS = 600
# Told while something takes long, on a machine that is busy more often; a bar that vanishes on a terminal.
PROGRESS = re.compile(r"^  \S.*, \d+ s$")
# What is another on every machine, and the form in which pages show it.
DIFFERENT = (
    (re.compile(r"^(  seconds +)[\d.,]+$"), r"\1..."),
    (re.compile(r"^(  images per second +)[\d.,]+$"), r"\1..."),
    (re.compile(r"^(  size +)\d+ kB$"), r"\1..."),
    (re.compile(r"/dev/pts/\d+"), "/dev/pts/..."),
)


@dataclass(frozen=True)
class Step:
    """A command of a page, and the lines that the page shows below it."""

    command: str
    shown: list[str]

    @property
    def words(self) -> list[str]:
        return shlex.split(self.command)


def steps(text: str) -> list[Step]:
    """The commands of all console blocks, in order."""
    found = []
    for block in CONSOLE.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            found.append(Step(command, shown))
    return found


def files(text: str) -> dict[str, str]:
    """What the reader saves, by name."""
    return dict(PYTHON.findall(text))


def stable(output: str) -> list[str]:
    """Lines of output in the form in which pages show them."""
    lines = [line.rstrip() for line in output.rstrip("\n").split("\n") if not PROGRESS.match(line)]
    for pattern, form in DIFFERENT:
        lines = [pattern.sub(form, line) for line in lines]
    return lines


class Reader:
    """Somebody who follows a page in an empty folder; a context manager, which ends what still runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            process.send_signal(signal.SIGINT)
        for process in self.running:
            process.communicate(timeout=PATIENCE_SECONDS)

    def saves(self, text: str) -> None:
        """Write the files of the page."""
        for name, content in files(text).items():
            (self.folder / name).write_text(content)

    def types(self, step: Step) -> list[str]:
        """Run a command; what it printed. `emulate` goes on running once its board is there."""
        program, *words = step.words
        run = [sys.executable, *(["-m", "spikeloom_cli"] if program == "spikeloom" else []), *words]
        assert program in ("python", "spikeloom"), program
        if words[:1] == ["infer"]:
            run += ["--timeout", "60"]  # a machine that is busy with other tests
        options = {"cwd": self.folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        if words[:1] == ["emulate"]:
            process = subprocess.Popen(run, **options)  # type: ignore[call-overload]
            self.running.append(process)
            return stable("".join(_until(process, "try")))
        done = subprocess.run(run, timeout=PATIENCE_SECONDS, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, f"$ {step.command}\n{done.stdout}"
        return stable(done.stdout)


def _until(process: "subprocess.Popen[str]", word: str) -> Iterator[str]:
    """Lines up to the one with a word."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if word in line:
            return
    raise AssertionError(f"{process.args}: ended with {process.wait()}")


def rewrite(page: Path, tell: Callable[[str], None] = print) -> None:
    """Follow a page, and put what is printed below its commands."""
    text = page.read_text()
    with tempfile.TemporaryDirectory() as folder, Reader(Path(folder)) as reader:
        reader.saves(text)

        def put(match: re.Match[str]) -> str:
            parts = []
            for step in steps(match[0]):
                before = sum(os.times()[2:4])
                parts += [f"$ {step.command}", *reader.types(step)]
                tell(f"$ {step.command}  # {sum(os.times()[2:4]) - before:.0f} s of CPU")
            return "\n".join(["```console", *parts, "```"])

        page.write_text(CONSOLE.sub(put, text))


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
