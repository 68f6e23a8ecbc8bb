"""A build behind its serial line, compiled: bytes, breaks and silence in, bytes out, millions of cycles a second."""

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from spikeloom import ToolError
from spikeloom_hw.build import Build
from spikeloom_hw.link.serial import TOP, SerialCore, serial_verilog

from .compiled import TO_CXX, compile_verilog, without_contents
from .cxxrtl import read_memory
from .fuzz.hostile import Act, BadStop, Break, Silence

DRIVER = Path(__file__).with_name("serial_line.cpp")
SCRIPT = (
    "read_verilog spikeloom.v",
    f"hierarchy -top {TOP}",
    "proc",
    "flatten",
    "opt_expr",
    "opt_clean",
    *TO_CXX,
)
CORE = "core core "  # where the generated core is in the hierarchy
ROOM = 1 << 16
_INT, _POINTER = ctypes.c_int64, ctypes.c_void_p
_RESULTS = {
    "line_new": _POINTER, "line_free": None, "line_cycle": _INT, "line_broken": _INT, "line_memories": ctypes.c_char_p,
    "line_image": None, "line_reset": None, "line_run": None, "line_heard": _INT,
}  # fmt: skip
BAD_STOP, LOW, HIGH = 1 << 24, 2 << 24, 3 << 24


def bad_stop(byte: int) -> int:
    """An act: a byte whose stop bit is low."""
    return BAD_STOP | byte


def low(cycles: int) -> int:
    """An act: the line is low for so many cycles; from ten bits on, a break."""
    return LOW | cycles


def silence(cycles: int) -> int:
    """An act: nothing for so many cycles."""
    return HIGH | cycles


class SerialLine:
    """A serial core in this process, compiled by CXXRTL; use as a context manager.

    Parameters
    ----------
    build : whose core it is.
    serial : SerialCore of the build, or a mutant.

    Raises
    ------
    ToolError
        Compilation failed.
    """

    def __init__(self, build: Build, serial: SerialCore) -> None:
        self.divisor = serial.divisor
        source = without_contents((build.folder / build.manifest["verilog"]).read_text() + serial_verilog(serial))
        self._library = ctypes.CDLL(str(compile_verilog(source, SCRIPT, top=TOP, driver=DRIVER)))
        for name, result in _RESULTS.items():
            getattr(self._library, name).restype = result
        self._handle = _POINTER(self._library.line_new())
        self._load(build)
        self._library.line_reset(self._handle, _INT(self.divisor), _INT(8))

    def __enter__(self) -> "SerialLine":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._library.line_free(self._handle)

    @property
    def cycle(self) -> int:
        """Cycles since the start."""
        return int(self._library.line_cycle(self._handle))

    @property
    def broken(self) -> int:
        """Bytes from the device whose stop bit was low."""
        return int(self._library.line_broken(self._handle))

    def run(self, acts: Sequence[int], *, wanted: int = 0, patience: int = 0) -> tuple[bytes, np.ndarray]:
        """Do what acts say: bytes are sent, others are `bad_stop`, `low`, `silence`; then wait for an answer.

        Parameters
        ----------
        acts : one after the other.
        wanted : bytes that are waited for, those that came meanwhile included.
        patience : cycles of silence after which nothing more is waited for.

        Returns
        -------
        bytes heard, and the cycle of the end of each, int64.
        """
        numbers = np.array(list(acts), np.uint32)
        self._library.line_run(
            self._handle, numbers.ctypes.data_as(_POINTER), _INT(len(numbers)), _INT(wanted), _INT(patience)
        )
        heard, cycles = np.zeros(ROOM, np.uint8), np.zeros(ROOM, np.int64)
        parts = []
        while size := int(
            self._library.line_heard(
                self._handle, heard.ctypes.data_as(_POINTER), cycles.ctypes.data_as(_POINTER), _INT(ROOM)
            )
        ):
            parts.append((heard[:size].copy(), cycles[:size].copy()))
        if not parts:
            return b"", np.zeros(0, np.int64)
        return b"".join(part.tobytes() for part, _ in parts), np.concatenate([part for _, part in parts])

    def act(self, act: Act, timeout_cycles: int) -> list[int]:
        """What a hostile act is on this line; behind an error the line rests for two bits, so that it is but one."""
        match act:
            case Break(bits):
                return [low(bits * self.divisor), silence(2 * self.divisor)]
            case BadStop(byte):
                return [bad_stop(byte), silence(2 * self.divisor)]
            case Silence(timeouts):
                return [silence(round(timeouts * timeout_cycles))]
        return list(act)

    def _load(self, build: Build) -> None:
        """Contents of the core's memories; those of the link have none."""
        files = set(build.manifest["memories"])
        for line in bytes(self._library.line_memories(self._handle)).decode().splitlines():
            path, depth, width = line.split("\t")
            name = re.sub(r"[^\w.]", "", f"{path.removeprefix(CORE).replace(' ', '_')}.mem")
            if name in files:
                words = read_memory(build.folder / name, int(depth), int(width))
                self._library.line_image(self._handle, path.encode(), words.ctypes.data_as(_POINTER))
                files.remove(name)
        files = {name for name in files if set((build.folder / name).read_text().strip()) != {"0"}}
        if files:
            raise ToolError(
                f"Build '{build.folder}': each memory file must belong to a memory, not {sorted(files)}; "
                "generate it again"
            )
