"""Records the signals of a compiled design between two cycles, by the names that they have in the source."""

import ctypes
import re
from dataclasses import replace

import numpy as np
from spikeloom import SpikeloomError

from ..capture import pieces_of
from ..cxxrtl import Model, copied
from .line import CYCLE_NS, Line, clock, scoped

ROOM_PIECES = 1 << 26  # of 32 bits that changes may take, with their cycles and numbers
CLOCK = "clk"
_TEMPORARY = re.compile(r"_\d+_|.*[$\\].*")  # wires that Yosys or Amaranth made, which the source does not name
_ODD = re.compile(r"[^A-Za-z0-9_]")
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int64


class Recorder(Model):
    """A model whose library was compiled to record."""

    def record(self, first: int, stop: int) -> None:
        """Record cycles first..stop-1 of the run to come."""
        self._library.sim_record.restype = ctypes.c_char_p
        self._library.sim_changes.restype = _INT
        names = self._library.sim_record(self._handle, _INT(first), _INT(stop), _INT(ROOM_PIECES))
        self._window, self._names = (first, stop), bytes(names).decode()

    def lines(self) -> list[Line]:
        """The signals that the source names, and their changes, below the name of the top module.

        Raises
        ------
        SpikeloomError
            There was more to record than there is room for.
        """
        pointers, size = [_POINTER() for _ in range(3)], _INT()
        count = self._library.sim_changes(self._handle, *map(ctypes.byref, pointers), ctypes.byref(size))
        if count < 0:
            raise SpikeloomError(
                f"Trace of build '{self.design.folder}': must be at most {ROOM_PIECES >> 18} MB of changes, and cycles "
                f"{self._window[0]} to {self._window[1]} have more; trace fewer samples"
            )
        kinds = (ctypes.c_uint32, ctypes.c_int64, ctypes.c_uint32)
        signals, cycles, words = (
            copied(pointer, kind, length)
            for pointer, kind, length in zip(pointers, kinds, (count, count, size.value), strict=True)
        )
        return self._named(signals, cycles, words)

    def _named(self, signals: np.ndarray, cycles: np.ndarray, words: np.ndarray) -> list[Line]:
        listed = [line.split("\t") for line in self._names.splitlines()]
        widths = {int(number): int(width) for _, width, number in listed}
        sizes = np.array([pieces_of(widths[number]) for number in range(len(widths))], np.int64)
        starts = np.cumsum(sizes[signals]) - sizes[signals]
        order = np.argsort(signals, kind="stable")
        counts = np.bincount(signals, minlength=len(widths))
        ends = np.cumsum(counts)
        found: list[Line] = []
        places: dict[int, int] = {}
        taken: set[tuple[str, ...]] = set()
        paths = {name: path for name, _, _ in listed if (path := self._path(name))}
        # in the order in which a file declares them: of signals that are one and the same the first holds the changes
        for name, _, text in sorted(
            (item for item in listed if item[0] in paths), key=lambda item: scoped(paths[item[0]])
        ):
            number, path = int(text), paths[name]
            if path in taken:
                continue
            taken.add(path)
            mine = order[ends[number] - counts[number] : ends[number]]
            line = Line(path, widths[number], np.zeros(0, np.int64), np.zeros(0, np.uint64), shares=places.get(number))
            if number not in places:
                places[number] = len(found)
                line = replace(line, times=cycles[mine] * CYCLE_NS, values=_values(words, starts[mine], widths[number]))
                if name == CLOCK:
                    line = clock(path, *self._window)
            found.append(line)
        return found

    def _path(self, name: str) -> tuple[str, ...] | None:
        """Scopes and name of a signal; None where the source does not name it."""
        parts = name.split(" ")
        if any(_TEMPORARY.fullmatch(part) for part in parts):
            return None
        whole = [piece for part in parts for piece in part.split(".") if piece]
        return (self.design.manifest["top"], *(_ODD.sub("_", piece) for piece in whole))


def _values(words: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Values whose pieces begin at `starts`: uint64, or Python integers where they are wider."""
    pieces = [words[starts + piece].astype(np.uint64) for piece in range(pieces_of(width))]
    if width <= 64:
        return pieces[0] if len(pieces) == 1 else pieces[0] | pieces[1] << np.uint64(32)
    return sum(piece.astype(object) << 32 * n for n, piece in enumerate(pieces))  # type: ignore[return-value]  # numpy: of objects
