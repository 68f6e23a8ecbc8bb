"""Writes lines into a waveform file: FST, small and read piece by piece, or VCD, which everything reads."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from spikeloom import SpikeloomError

from .line import Line, scoped

SUFFIXES = (".fst", ".vcd")


class _Writer(Protocol):
    """A file that is being written: scopes and signals first, then changes in order of time."""

    def declare(self, lines: Sequence[Line]) -> list[Any]: ...
    def change(self, time: int, handle: Any, width: int, value: int) -> None: ...
    def close(self, time: int) -> None: ...


def write(path: Path, lines: Sequence[Line], end: int, comment: str) -> None:
    """Write a waveform; it appears whole or not at all.

    Parameters
    ----------
    path : its suffix, .fst or .vcd, decides what is written.
    lines : signals; their changes may come in any order.
    end : time in ns at which the waveform ends.
    comment : what made it, in one line.

    Raises
    ------
    SpikeloomError
        The file cannot be written.
    """
    try:
        # FST takes several files until it is closed
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".spikeloom.", ignore_cleanup_errors=True) as work:
            part = Path(work) / path.name
            writer = _Fst(part, comment) if path.suffix == ".fst" else _Vcd(part, comment)
            handles = writer.declare(lines)
            widths = [line.width for line in lines]
            for time, number, value in _changes(lines):
                writer.change(time, handles[number], widths[number], value)
            writer.close(end)
            os.replace(part, path)
    except OSError as error:
        raise SpikeloomError(f"File '{path}': cannot be written ({error.strerror}); choose another folder") from None


def _changes(lines: Sequence[Line]) -> Iterator[tuple[int, int, int]]:
    """(time, line, value) of all lines in order of time."""
    own = [number for number, line in enumerate(lines) if line.shares is None]
    times = np.concatenate([lines[number].times for number in own])
    numbers = np.repeat(own, [len(lines[number].times) for number in own])
    places = np.concatenate([np.arange(len(lines[number].times)) for number in own])
    order = np.argsort(times, kind="stable")
    values = [line.values.tolist() for line in lines]
    for time, number, place in zip(times[order].tolist(), numbers[order].tolist(), places[order].tolist(), strict=True):
        yield time, number, values[number][place]


def _tree(lines: Sequence[Line]) -> Iterable[tuple[str, str | None, int]]:
    """("open", scope), ("close"), ("line", number) so that every scope is opened once, shallow lines first."""
    order = sorted(range(len(lines)), key=lambda number: scoped(lines[number].path))
    open_scopes: tuple[str, ...] = ()
    for number in order:
        scopes = lines[number].path[:-1]
        common = 0
        while common < min(len(scopes), len(open_scopes)) and scopes[common] == open_scopes[common]:
            common += 1
        for _ in open_scopes[common:]:
            yield "close", None, 0
        for scope in scopes[common:]:
            yield "open", scope, 0
        open_scopes = scopes
        yield "line", None, number
    for _ in open_scopes:
        yield "close", None, 0


class _Fst:
    """By way of GTKWave's own library."""

    def __init__(self, path: Path, comment: str) -> None:
        from pylibfst import ffi, lib

        self.lib: Any = lib
        self.file = lib.fstWriterCreate(os.fsencode(path), 1)
        if self.file == ffi.NULL:
            raise OSError(0, "the FST library cannot open it")
        self.time = -1
        lib.fstWriterSetPackType(self.file, lib.FST_WR_PT_LZ4)
        lib.fstWriterSetTimescaleFromString(self.file, b"1ns")
        lib.fstWriterSetVersion(self.file, b"spikeloom")
        lib.fstWriterSetDate(self.file, b"")
        lib.fstWriterSetComment(self.file, comment.encode())

    def declare(self, lines: Sequence[Line]) -> list[Any]:
        lib, handles = self.lib, [0] * len(lines)
        for what, scope, number in _tree(lines):
            if what == "open":
                lib.fstWriterSetScope(self.file, lib.FST_ST_VCD_MODULE, str(scope).encode(), b"")
            elif what == "close":
                lib.fstWriterSetUpscope(self.file)
            else:
                line = lines[number]
                kind = lib.FST_VT_VCD_INTEGER if line.signed else lib.FST_VT_VCD_WIRE
                shared = 0 if line.shares is None else handles[line.shares]
                name = line.path[-1] if line.width == 1 else f"{line.path[-1]} [{line.width - 1}:0]"
                handles[number] = lib.fstWriterCreateVar(
                    self.file, kind, lib.FST_VD_IMPLICIT, line.width, name.encode(), shared
                )
        return handles

    def change(self, time: int, handle: Any, width: int, value: int) -> None:
        if time != self.time:
            self.time = time
            self.lib.fstWriterEmitTimeChange(self.file, time)
        if width <= 64:
            self.lib.fstWriterEmitValueChange64(self.file, handle, width, value)
        else:
            self.lib.fstWriterEmitValueChange(self.file, handle, f"{value:0{width}b}".encode())

    def close(self, time: int) -> None:
        self.lib.fstWriterEmitTimeChange(self.file, time)
        failed = self.lib.fstWriterGetFseekFailed(self.file)
        self.lib.fstWriterClose(self.file)
        if failed:
            raise OSError(0, "no room")


class _Vcd:
    """By way of pyvcd."""

    def __init__(self, path: Path, comment: str) -> None:
        from vcd import VCDWriter

        self.stream = path.open("w")
        self.writer = VCDWriter(self.stream, timescale="1 ns", date="", comment=comment, version="spikeloom")

    def declare(self, lines: Sequence[Line]) -> list[Any]:
        handles: list[Any] = [None] * len(lines)
        for number, line in enumerate(lines):
            scope = ".".join(line.path[:-1])
            if line.shares is not None:
                self.writer.register_alias(scope, line.path[-1], handles[line.shares])
                continue
            kind = "integer" if line.signed else "wire"
            handles[number] = self.writer.register_var(scope, line.path[-1], kind, line.width)
        return handles

    def change(self, time: int, handle: Any, width: int, value: int) -> None:
        self.writer.change(handle, time, value)

    def close(self, time: int) -> None:
        self.writer.close(time)
        self.stream.close()
