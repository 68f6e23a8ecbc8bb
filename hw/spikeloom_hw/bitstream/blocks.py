"""Block RAMs in what nextpnr writes: read their contents, tell where memories lie by what is in them, put others there.

No name of a cell and nothing of how Yosys splits a memory is needed: a memory that was placed with contents of which no
two columns are alike says by itself where every bit of it went, see `find`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from spikeloom.errors import ToolError, listed


@dataclass(frozen=True, eq=False)
class Format:
    """How the contents of block RAMs stand in a family's text.

    Parameters
    ----------
    suffix : of the file that nextpnr writes and the packer reads.
    section : a block's contents: `key`, and `digits`, hexadecimal numbers.
    number_bits, line : bits of a number, and numbers in a line.
    widths : of a port.
    order : position in the numbers (bit 0 of the first is 0) of every bit of a block, int64 [bits], by width: bit b of
        word a is `a * width + b`.
    """

    suffix: str
    section: re.Pattern[str]
    number_bits: int
    line: int
    widths: tuple[int, ...]
    order: Callable[[int], np.ndarray]

    def read(self, text: str) -> dict[str, np.ndarray]:
        """Contents of every block that has any, bool [bits]."""
        return {match["key"]: self._bits(match["digits"]) for match in self.section.finditer(text)}

    def write(self, text: str, contents: Mapping[str, np.ndarray]) -> str:
        """The text with other contents of the blocks that are named."""

        def replaced(match: re.Match[str]) -> str:
            if match["key"] not in contents:
                return match[0]
            return match[0][: match.start("digits") - match.start()] + self._digits(contents[match["key"]])

        return self.section.sub(replaced, text)

    def _bits(self, digits: str) -> np.ndarray:
        numbers = [int(number, 16).to_bytes(-(-self.number_bits // 8), "little") for number in digits.split()]
        octets = np.frombuffer(b"".join(numbers), np.uint8).reshape(len(numbers), -1)
        return np.unpackbits(octets, axis=1, bitorder="little", count=self.number_bits).astype(bool).reshape(-1)

    def _digits(self, bits: np.ndarray) -> str:
        octets = np.packbits(bits.reshape(-1, self.number_bits), axis=1, bitorder="little")
        numbers = [f"{int.from_bytes(row.tobytes(), 'little'):0{-(-self.number_bits // 4)}x}" for row in octets]
        lines = [" ".join(numbers[at : at + self.line]) for at in range(0, len(numbers), self.line)]
        return "".join(f"{line}\n" for line in lines)


def _ecp5(width: int) -> np.ndarray:
    """2048 numbers of nine bits; ports of up to four bits leave the ninth alone."""
    places = np.arange(2048 * 9).reshape(2048, 9)
    return places.reshape(-1) if width >= 9 else places[:, :8].reshape(-1)


def _ice40(width: int) -> np.ndarray:
    """Sixteen numbers of 256 bits. A word of sixteen lies in one piece, its bits in the order in which narrow ports
    count them: the four bits of a place are turned around.
    """
    turned = [int(f"{place:04b}"[::-1], 2) for place in range(16)]
    return (np.arange(256)[:, None] * 16 + turned).reshape(-1)


FORMATS = {
    "ecp5": Format(
        "config", re.compile(r"^\.bram_init (?P<key>\d+)\n(?P<digits>(?:[0-9a-f ]+\n)+)", re.MULTILINE),
        9, 8, (36, 18, 9, 4, 2, 1), _ecp5,
    ),
    "ice40": Format(
        "asc", re.compile(r"^\.ram_data (?P<key>\d+ \d+)\n(?P<digits>(?:[0-9a-f]+\n)+)", re.MULTILINE),
        256, 1, (16, 8, 4, 2), _ice40,
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Site:
    """Where a part of a column of a memory lies.

    Parameters
    ----------
    block : key of the block RAM.
    places : of its bits, int64 [n].
    memory, column, first : which memory, which bit of its rows, from which row on.
    """

    block: str
    places: np.ndarray
    memory: int
    column: int
    first: int


def find(
    form: Format,
    blocks: Mapping[str, np.ndarray],
    memories: Sequence[np.ndarray],
    optional: Sequence[np.ndarray],
) -> list[Site]:
    """Where memories lie that have these contents, bool [depth, width] each.

    A block is read at every width of a port; where all its columns are (parts of) columns of a memory, it holds them,
    and no two columns may be alike. Columns that are all zero lie nowhere: Yosys drops them. So may those that are
    `optional`, bool [width] each; but not parts of them.

    Raises
    ------
    ToolError
        Columns that no block holds: the memory became logic, or lies in the blocks in some way that is not known here.
    ValueError
        Columns that are alike.
    """
    found: list[Site] = []
    for width in form.widths:
        order = form.order(width).reshape(-1, width)
        known = _columns(memories, len(order))
        for block, bits in blocks.items():
            columns = bits[order].T
            keys = [column.tobytes() if column.any() else None for column in columns]
            if all(key is None or key in known for key in keys):
                found += [Site(block, order[:, n], *known[key]) for n, key in enumerate(keys) if key is not None]
    held = [np.zeros_like(memory) for memory in memories]
    for site in found:
        held[site.memory][site.first : site.first + len(site.places), site.column] = True
    lost = [
        int((memory.any(0) & ~there.all(0) & ~(dropped & ~there.any(0))).sum())
        for memory, there, dropped in zip(memories, held, optional, strict=True)
    ]
    if any(lost):
        missing = [f"{count} columns of memory {number} are not" for number, count in enumerate(lost) if count]
        raise ToolError(f"Bitstream: parameters must lie in block RAMs, but {listed(missing)}; please report this")
    return found


def _columns(memories: Sequence[np.ndarray], depth: int) -> dict[bytes, tuple[int, int, int]]:
    """Memory, column and first row of every part of a column that is as deep as a block."""
    found: dict[bytes, tuple[int, int, int]] = {}
    for number, memory in enumerate(memories):
        for first, column in product(range(0, len(memory), depth), np.flatnonzero(memory.any(0))):
            part = memory[first : first + depth, column]
            key = np.pad(part, (0, depth - len(part))).tobytes()
            if key in found or not part.any():
                raise ValueError(f"Memory {number}: column {column} must differ from all others, and does not")
            found[key] = number, int(column), first
    return found


def implanted(
    blocks: Mapping[str, np.ndarray], sites: Sequence[Site], memories: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Contents of the blocks in which memories lie, with others of the same sizes in their places."""
    found: dict[str, np.ndarray] = {}
    for site in sites:
        bits = found.setdefault(site.block, blocks[site.block].copy())
        rows = memories[site.memory][site.first : site.first + len(site.places), site.column]
        bits[site.places[: len(rows)]] = rows
    return found
