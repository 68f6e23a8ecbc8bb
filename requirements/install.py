"""Makes the virtual environment of `make setup`: needs nothing but Python's own library, shows life every ten seconds.

    python3 requirements/install.py .venv

A stamp in the environment holds a digest of what was installed; nothing happens while it is still right.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"
PATIENCE_SECONDS = 10


def main(arguments: Sequence[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036, whoever runs this has not installed us yet
        return _fail(f"Python must be 3.11 or later, not {sys.version.split()[0]}; say which with make PYTHON=...")
    if len(arguments) != 1:
        return _fail("one argument: the folder of the virtual environment")
    folder = Path(arguments[0]).absolute()
    stamp, python = folder / ".ready", folder / "bin" / "python"
    wanted = _digest(folder)
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        stamp.touch()
        return 0
    start = time.monotonic()
    print(f"Setting up {folder} (about two minutes, 2.0 GB); the log is {folder / 'setup.log'}", flush=True)
    stamp.unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "setup.log").open("w") as log:
            steps = Steps(log)
            if not python.exists():
                steps.run("virtual environment", [sys.executable, "-m", "venv", str(folder)])
            _packages(steps, [str(python), "-m", "pip", "install", "-c", str(CONSTRAINTS)])
            # runs every tool once, which compiles and caches those that are WebAssembly
            steps.run("tools run for the first time", [str(folder / "bin" / "spikeloom"), "doctor", "--warm"])
        stamp.write_text(wanted)
    except OSError as error:
        return _fail(f"'{error.filename or folder}' cannot be written ({error.strerror}); make room or give rights")
    except subprocess.CalledProcessError as error:
        return _fail(f"{error.cmd} ended with {error.returncode}; the log is {folder / 'setup.log'}")
    except KeyboardInterrupt:
        return 130
    print(f"Ready after {time.monotonic() - start:.0f} s", flush=True)
    return 0


def _packages(steps: "Steps", install: list[str]) -> None:
    """torch first, without CUDA: from where pip looks anyhow, else from PyTorch's own index, else whatever there is."""
    torch, setuptools = (_pinned(name) for name in ("torch", "setuptools"))
    cpu_only = f"{torch}+cpu"
    choices = ([cpu_only], [cpu_only, "--extra-index-url", CPU_TORCH, "--retries", "1", "--timeout", "15"], [torch])
    for last, choice in zip((False, False, True), choices, strict=True):
        if steps.run("PyTorch", [*install, setuptools, *choice], must=last):
            break
    steps.run("all other packages", [*install, "--no-build-isolation", "-e", f"{ROOT}[dev]"])


def _pinned(name: str) -> str:
    return next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith(f"{name}=="))


def _digest(folder: Path) -> str:
    content = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "requirements/constraints.txt"))
    return hashlib.sha256(content + __file__.encode() + str(folder).encode() + sys.version.encode()).hexdigest()


def _fail(why: str) -> int:
    print(f"Set-up: {why}", file=sys.stderr)
    return 1


class Steps:
    """Runs commands one after the other; their output goes to the log, a line of it is shown now and then."""

    def __init__(self, log) -> None:
        self.log = log

    def run(self, title: str, command: list[str], *, must: bool = True) -> bool:
        """Run a command; False, or CalledProcessError where it must succeed, when it ends with another code than 0."""
        start = shown = time.monotonic()
        print(f"  {title} ...", flush=True)
        environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
        )
        said = [""]
        reader = Thread(target=self._read, args=(process, said), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                reader.join(0.2)
                if time.monotonic() - shown >= PATIENCE_SECONDS:
                    shown = time.monotonic()
                    print(f"    {shown - start:4.0f} s  {said[0][:90]}", flush=True)
        except BaseException:
            process.terminate()
            raise
        reader.join()
        if process.returncode == 0:
            print(f"    {time.monotonic() - start:4.0f} s  done", flush=True)
        elif must:
            print(f"    {said[0]}", file=sys.stderr)
            raise subprocess.CalledProcessError(process.returncode, title)
        return process.returncode == 0

    def _read(self, process: "subprocess.Popen[str]", said: list[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.write(line)
            self.log.flush()
            said[0] = line.strip() or said[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
