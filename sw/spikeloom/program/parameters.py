"""Parameter memories: where cores keep weights and levels that may change, and what of a network is in them.

A row of such a memory is loaded in words of `WORD_BITS`, the lowest first; a word travels as `WORD_BYTES`, the lowest
first, and the checksum of a memory is that of all its words, row by row.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..network import Network
from .images import weight_image
from .levels import SWEPT, level_widths, neuron_words
from .program import CorePlan, LayerPlan, Stored
from .weights import used_lanes, weight_rows

WORD_BITS = 36  # a block RAM of an ECP5 at its widest
WORD_BYTES = 5
ADDRESS_WORD_BITS = 8  # lowest bits of an address, which count the words of a row; the others count the rows


@dataclass(frozen=True)
class ParameterMemory:
    """A memory of a core that holds parameters of the network.

    Parameters
    ----------
    number : by which it is loaded; counted through all cores.
    file : of its contents in a build: a line of binary digits a row, the highest first.
    depth, width : rows, and bits of a row; whole words where it is loadable.
    columns : bits of a row that some network of the same structure may need, as a mask.
    optional : those of them that not every core reads, so that synthesis may drop them.
    """

    number: int
    file: str
    depth: int
    width: int
    columns: int
    optional: int = 0

    @property
    def words(self) -> int:
        """Words of a row."""
        return -(-self.width // WORD_BITS)

    def words_of(self, rows: np.ndarray) -> bytes:
        """Words of some rows as they travel; bool [rows, width]."""
        bits = np.zeros((len(rows), self.words * WORD_BITS), bool)
        bits[:, : self.width] = rows
        words = np.zeros((len(rows) * self.words, WORD_BYTES * 8), bool)
        words[:, :WORD_BITS] = bits.reshape(-1, WORD_BITS)
        return np.packbits(words, axis=1, bitorder="little").tobytes()

    def checksum(self, rows: np.ndarray) -> int:
        """CRC-32 of all its words, as a device that was loaded answers; bool [depth, width]."""
        return zlib.crc32(self.words_of(rows))


def parameter_memories(network: Network, cores: Sequence[CorePlan]) -> tuple[ParameterMemory, ...]:
    """The parameter memories of a chain of cores: the weights of each, a memory a row of cells, then its levels."""
    found: list[ParameterMemory] = []
    for core in cores:
        lanes = used_lanes(network, core).reshape(core.grid[0], -1)
        rows = sum(weight_rows(network, core).values())
        for line, used in enumerate(lanes):
            name = f"{core.name}_lanes_weights{'' if len(lanes) == 1 else line}.mem"
            columns = np.repeat(used, core.weight_bits)
            found.append(_memory(core, len(found), name, rows, columns, np.zeros_like(columns)))
        widths = level_widths(network, core)
        swept = np.repeat([name.startswith(SWEPT) for name in widths], [*widths.values()])
        entries = len(neuron_words(network, core)[0]["initial0"])
        name = f"{core.name}_fetch_neurons.mem"
        found.append(_memory(core, len(found), name, entries, np.ones_like(swept), swept))
    return tuple(found)


def _memory(
    core: CorePlan, number: int, file: str, rows: int, columns: np.ndarray, optional: np.ndarray
) -> ParameterMemory:
    width = len(columns)
    if core.contents == "loadable":
        width = -(-width // WORD_BITS) * WORD_BITS
    return ParameterMemory(number, file, core.parameter_depth(rows), width, _mask(columns), _mask(optional))


def _mask(flags: np.ndarray) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def parameter_rows(network: Network, cores: Sequence[CorePlan]) -> tuple[np.ndarray, ...]:
    """What the parameter memories of a chain of cores hold for a network, bool [depth, width] each."""
    found: list[np.ndarray] = []
    for core in cores:
        weights = weight_image(network, core)
        for part in np.split(weights, core.grid[0], axis=1):
            found.append(_bits(part, core.weight_bits))
        levels, widths = neuron_words(network, core)[0], level_widths(network, core)
        found.append(np.concatenate([_bits(levels[name][:, None], bits) for name, bits in widths.items()], axis=1))
    return tuple(
        np.pad(rows, ((0, memory.depth - len(rows)), (0, memory.width - rows.shape[1])))
        for memory, rows in zip(parameter_memories(network, cores), found, strict=True)
    )


def _bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Lowest bits of integers side by side, the first integer lowest: bool [rows, n * bits] of int64 [rows, n]."""
    return (values[:, :, None] >> np.arange(bits) & 1).astype(bool).reshape(len(values), -1)


def digits_text(rows: np.ndarray) -> str:
    """Rows as $readmemb takes them, a line each, the highest bit first; bool [rows, width]."""
    return "".join(row.tobytes().decode() + "\n" for row in rows[:, ::-1].astype(np.uint8) + ord("0"))


def rows_of_text(text: str, depth: int) -> np.ndarray:
    """Rows of a file for $readmemb, bool [depth, width]; those it does not have are zero."""
    lines = [line for line in text.split() if set(line) <= {"0", "1"}]
    found = np.array([[digit == "1" for digit in reversed(line)] for line in lines], bool)
    return np.pad(found, ((0, depth - len(found)), (0, 0)))


def cores_of(manifest: Mapping[str, Any], network: Network) -> tuple[CorePlan, ...]:
    """The plans of a build's cores, for another network of the same structure."""
    return tuple(_core(item, network) for item in manifest["cores"])


def _core(item: Mapping[str, Any], network: Network) -> CorePlan:
    grid, width = (item["grid"][0], item["grid"][1]), item["width"]
    plain = ("name", "source", "bits", "weight_bits", "generate_width", "queue_depth", "store_width", "multiply")
    layers = tuple(
        LayerPlan(
            layer["population"],
            network.source(layer["population"]).shape,
            grid,
            width,
            (layer["spread"][0], layer["spread"][1]),
        )
        for layer in item["layers"]
    )
    return CorePlan(
        **{name: item[name] for name in (*plain, "inbox", "contents")},
        layers=layers,
        grid=grid,
        width=width,
        stored=tuple(Stored(**stored) for stored in item["stored"]),
    )


def placeholder(memory: ParameterMemory) -> np.ndarray:
    """Contents with which a memory is placed and routed, bool [depth, width]: any, but no two columns are alike.

    Columns that no network needs are zero, for Yosys to drop; all others are bits that SHAKE-256 makes of the number.
    """
    count = -(-memory.depth * memory.width // 8)
    octets = hashlib.shake_256(f"spikeloom parameters {memory.number}".encode()).digest(count)
    bits = np.unpackbits(np.frombuffer(octets, np.uint8), count=memory.depth * memory.width).astype(bool)
    return bits.reshape(memory.depth, memory.width) & flags(memory.columns, memory.width)


def flags(mask: int, width: int) -> np.ndarray:
    """Bits of a mask, the lowest first, bool [width]."""
    return np.array([mask >> column & 1 == 1 for column in range(width)])
