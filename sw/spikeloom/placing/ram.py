"""Block RAMs of a memory: what Yosys makes of it on each family of devices.

Yosys tries every kind of RAM that the family has, at every width of a port, and takes what costs least: units, half a
point for every bit that a multiplexer between depths adds, and logic where that is cheaper still. The words of a
memory that is deeper than a unit lie side by side, so that depths share units.
Ref: Yosys, passes/memory/memory_libmap.cc and the families' brams.txt.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

LOGIC_COST = {"rom": 1 / 16, "ram": 1.0}  # of a bit in logic
SELECT_COST = 0.5  # of a bit of a multiplexer for reading, of an enable for writing
PORT_COST = 2.0  # of a read port of its own


@dataclass(frozen=True)
class Ram:
    """A kind of RAM that a family has.

    Parameters
    ----------
    cost : of a unit.
    bits : address bits of a unit at its narrowest width.
    widths : widths of a port, each twice as wide as the one before (parity bits aside).
    byte : bits that a write enable covers; 0: a whole word.
    least : narrowest width, by position, that can be written.
    block : units are block RAMs, and can be read-only.
    size : block RAMs in a unit, as nextpnr counts them.
    """

    cost: float
    bits: int
    widths: tuple[int, ...]
    byte: int
    least: int = 0
    block: bool = True
    size: int = 1


FAMILIES = {
    "ecp5": (
        Ram(128, 14, (1, 2, 4, 9, 18), 9),
        Ram(128, 14, (1, 2, 4, 9, 18, 36), 9, least=3),
        Ram(4, 4, (4,), 0, block=False),
    ),
    "ice40": (Ram(64, 11, (2, 4, 8), 0), Ram(64, 11, (2, 4, 8, 16), 1)),
    "gowin": (Ram(128, 14, (1, 2, 4, 9, 18, 36), 9), Ram(4, 4, (4,), 0, block=False)),
    "gowin5": (Ram(128, 14, (1, 2, 4, 9, 18, 36), 9),),  # nextpnr places no distributed RAM of these
    "gatemate": (
        Ram(129, 14, (1, 2, 5, 10, 20), 1),
        Ram(129, 9, (40,), 1),
        Ram(257, 15, (1, 2, 5, 10, 20, 40), 1, size=2),
        Ram(257, 9, (80,), 1, size=2),
        Ram(513, 16, (1, 2, 5), 1, size=4),
    ),
}


def units(depth: int, width: int, kind: str, family: str) -> tuple[int, int]:
    """Units of a memory: (block RAMs, distributed RAMs); neither where it becomes logic.

    Kinds are "rom", "ram" (a read and a write port), and "block rom" and "block" (the same, asked to be block RAMs).
    """
    found = [(float(math.floor(depth * width * LOGIC_COST[kind])), 0, 0)] if kind in LOGIC_COST else []
    for ram in FAMILIES[family]:
        if ram.block or kind == "ram":
            cost, count = min(_shapes(ram, depth, width, reads_only=kind.endswith("rom")))
            found.append((cost, count * ram.size if ram.block else 0, 0 if ram.block else count))
    return min(found, key=lambda option: option[0])[1:]


def blocks(depth: int, width: int, kind: str, family: str) -> int:
    """Block RAMs of a memory."""
    return units(depth, width, kind, family)[0]


def _shapes(ram: Ram, depth: int, width: int, *, reads_only: bool) -> Iterator[tuple[float, int]]:
    """Costs and units of a memory at every width of a port."""
    for position, word in enumerate(ram.widths):
        if not reads_only and position < ram.least:
            continue
        byte = 1 if reads_only else min(ram.byte or word, word)
        deep = -(-depth // (1 << ram.bits - position))
        count = -(-deep * (-(-width // byte) * byte) // word)
        select = (deep - 1) * width + (deep if deep > 1 and not reads_only else 0)
        yield ram.cost * count + SELECT_COST * select + PORT_COST, count
