"""A line of a waveform: a named signal and the times at which it changes."""

from dataclasses import dataclass, replace

import numpy as np

CYCLE_NS = 10  # a cycle in a waveform, whatever the clock of a board; its first half the clock is high
TIME_BITS = 64


@dataclass(frozen=True, eq=False)
class Line:
    """A signal of a waveform.

    Parameters
    ----------
    path : scopes, and the name, from the outside in.
    width : bits.
    times : int64 [n] in ns, ascending.
    values : [n], uint64, or Python integers where the width is larger than 64; negative ones in two's complement.
    signed : viewers show it as a signed decimal.
    shares : position of the line whose changes are this one's too; None: it has its own.
    """

    path: tuple[str, ...]
    width: int
    times: np.ndarray
    values: np.ndarray
    signed: bool = False
    shares: int | None = None

    @property
    def name(self) -> str:
        """Full name with dots, as GTKWave and Surfer have it."""
        return ".".join(self.path)


def line(
    path: tuple[str, ...], width: int, changes: list[tuple[int, int]], first: int, stop: int, start: int = 0
) -> Line:
    """A signed line of (cycle, value), of which cycles first..stop-1 are kept; `start` is what it has before them.

    Of changes in one cycle the last one counts.
    """
    last: dict[int, int] = {first: start}
    for cycle, value in sorted(changes, key=lambda change: change[0]):
        if cycle < stop:
            last[max(cycle, first)] = value
    cycles, values = list(last), list(last.values())
    changed = [n for n in range(len(cycles)) if n == 0 or values[n] != values[n - 1]]
    kept = np.array([values[n] for n in changed], np.int64) & ((1 << width) - 1 if width < 64 else -1)
    return Line(path, width, np.array([cycles[n] for n in changed]) * CYCLE_NS, kept.astype(np.uint64), signed=True)


def clock(path: tuple[str, ...], first: int, stop: int) -> Line:
    """A clock that rises at the beginning of every cycle first..stop-1."""
    times = np.arange(2 * first, 2 * stop) * (CYCLE_NS // 2)
    return Line(path, 1, times, 1 - np.arange(2 * first, 2 * stop).astype(np.uint64) % 2)


def unsigned(found: Line) -> Line:
    """The same line, shown as bits."""
    return replace(found, signed=False)


def scoped(path: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """What to sort paths by so that every scope comes in one piece, and before those in it."""
    return path[:-1], path[-1]
