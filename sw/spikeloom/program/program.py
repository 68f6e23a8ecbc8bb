"""A program says which core runs which layers of a network, on which lanes, and where each potential lies.

The lanes of a core form a grid of cells, gy x gx, of `width` lanes each; every cell has a memory of its own, addressed
on its own. A layer spreads its map over the grid: `spread` = (By, Bx) positions are held side by side, By being gy or
less (1: this axis of the grid holds further channels instead). On a grid of 3x3 cells, blocks of two positions along
one axis or both would leave a third of it idle: such a layer is folded, its positions and channels share eight cells.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..geometry import Diagonal, Shape
from ..network import Network, Population
from ..neuron import Neuron

QUEUE_DEPTH = 32
CONTENTS = ("fixed", "replaceable", "loadable")
PART_DEPTH = 256  # a block RAM holds such a part of a memory, or several of them
LEAST_DEPTH = 64  # of the last part of a memory that may change: so deep columns can be told apart in a bitstream
FOLD_GRID = (3, 3)
# Position (y, x) within two by two and share of the channels of each cell, row-major; the last cell is idle. Whichever
# way the weights of such a block turn, what the cells of a column take lies in different rows: two steps move it. The
# channels of the first position ascend, also where an axis holds channels instead: a readout goes out in order.
FOLD = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 1, 1), (1, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1))


@dataclass(frozen=True)
class LayerPlan:
    """Where the potentials of one population lie in a core's banks.

    Row r = (block_y * nbx + block_x) * groups + group of every cell; a cell holds position
    (block_y * By + its bank along y, block_x * Bx + its bank along x), lane l of it channel
    (group * channel_cells + its share) * width + l.

    Parameters
    ----------
    population : name.
    shape : (C, H, W).
    grid : (gy, gx) of the core.
    width : lanes of a cell.
    spread : (By, Bx), positions held side by side.
    """

    population: str
    shape: Shape
    grid: tuple[int, int]
    width: int
    spread: tuple[int, int]

    @property
    def folded(self) -> bool:
        """Whether positions and channels share the cells of both axes, as `FOLD` says."""
        return self.grid == FOLD_GRID and max(self.spread) == 2

    @cached_property
    def cells(self) -> np.ndarray:
        """Bank along y, bank along x and share of the channels of every cell, int64 [3, gy, gx]; -1: it is idle."""
        (gy, gx), (by, bx) = self.grid, self.spread
        if self.folded:
            y, x, share = np.append(np.array(FOLD).T, [[-1]] * 3, 1).reshape(3, gy, gx)
            idle = share < 0
            share = share if by == bx else share + 2 * (y if by == 1 else x)
        else:
            y, x = np.indices(self.grid)
            idle = (by > 1) & (y >= by) | (bx > 1) & (x >= bx)
            share = y * (by == 1) * (gx if bx == 1 else 1) + x * (bx == 1)
        return np.where(idle, -1, np.stack([y * (by > 1), x * (bx > 1), share]))

    @cached_property
    def channel_cells(self) -> int:
        """Cells that hold the channels of one position."""
        if self.folded:
            return len(FOLD) // (self.spread[0] * self.spread[1])
        return (self.grid[0] if self.spread[0] == 1 else 1) * (self.grid[1] if self.spread[1] == 1 else 1)

    @cached_property
    def channels(self) -> int:
        """Channels of one position in a row."""
        return self.channel_cells * self.width

    @cached_property
    def groups(self) -> int:
        """Rows that the channels of one position take."""
        return -(-self.shape[0] // self.channels)

    @cached_property
    def blocks(self) -> tuple[int, int]:
        """Blocks of positions along y and x."""
        return -(-self.shape[1] // self.spread[0]), -(-self.shape[2] // self.spread[1])

    @cached_property
    def rows(self) -> int:
        """Rows of every cell."""
        return self.blocks[0] * self.blocks[1] * self.groups

    @cached_property
    def strides(self) -> tuple[int, int]:
        """Rows between neighbouring blocks along y and x."""
        return self.blocks[1] * self.groups, self.groups

    @cached_property
    def neurons(self) -> np.ndarray:
        """Address of the neuron in every place, -1 where there is none: int64 [rows, gy, gx, width]."""
        (gy, gx), (by, bx), (channels, height, width) = self.grid, self.spread, self.shape
        block_y, block_x, group, _, lane = np.ix_(
            *(np.arange(n) for n in (*self.blocks, self.groups, gy * gx, self.width))
        )
        bank_y, bank_x, share = self.cells.reshape(3, -1, 1)
        y, x = block_y * by + bank_y, block_x * bx + bank_x
        c = (group * self.channel_cells + share) * self.width + lane
        real = (y < height) & (x < width) & (c < channels) & (share >= 0)
        address = np.where(real, (c * height + y) * width + x, -1)
        return address.reshape(self.rows, gy, gx, self.width)

    def scan(self, slot: int) -> np.ndarray:
        """Neurons in the order in which the generator tests them, int64 [slots, slot]; -1 where a slot is half empty.

        Rows ascending, then cells, then lanes, `slot` neighbours at once; slots without a neuron are left out.
        """
        return _scanned(self, slot)


@lru_cache(maxsize=256)
def _scanned(layer: LayerPlan, slot: int) -> np.ndarray:
    slots = layer.neurons.reshape(-1, slot)
    found = slots[(slots >= 0).any(1)]
    found.flags.writeable = False
    return found


@dataclass(frozen=True)
class Step:
    """A part of a layer's accumulate phase: how the events of one connection come to the lanes.

    `kind` is "stream" (as the layer before, or the core before, generates them), "events" (replayed from stored codes,
    through max pooling where the connection has it) or "rows" (a diagonal connection, added row by row from stored
    codes). `connection` None: a stream that is only stored.
    """

    kind: str
    connection: str | None


@dataclass(frozen=True)
class Stored:
    """Codes kept for replay: a train that is needed later than the moment it is generated.

    Parameters
    ----------
    source : the population (or the core's input) whose codes are kept.
    first, last : phases (positions of layers in the core) in which it is written and last read.
    base : first word of its region.
    words : words of its region: position-major, ceil(C / codes in a word) words a position.
    """

    source: str
    first: int
    last: int
    base: int
    words: int


@dataclass(frozen=True)
class CorePlan:
    """One core: the consecutive layers it runs, and its sizes.

    Parameters
    ----------
    name : instance name in the hardware.
    source : the population whose train enters the core.
    layers : its layers, in the order in which they run.
    grid, width : cells and lanes of a cell.
    bits : width of a potential, the widest of all layers.
    weight_bits : width of a weight in the weight memory.
    generate_width : neurons the generator tests a cycle, divides `width`; 0 where no layer fires.
    queue_depth : words of the event queue; 0 where no layer fires.
    stored : codes kept for replay.
    store_width : codes in a word of the store.
    multiply : the lanes shift weights by multiplying them, on the device's multipliers.
    inbox : events of `source` that may wait before the core, sent by a core that is ahead; 0: it has to wait itself.
    contents : of `CONTENTS`. "fixed": weights and levels may become logic, whatever suits them best. "replaceable":
        they are whole block RAMs, whatever they hold, so that other ones can take their place in the bitstream.
        "loadable": and these have a port to write them by.
    """

    name: str
    source: str
    layers: tuple[LayerPlan, ...]
    grid: tuple[int, int]
    width: int
    bits: int
    weight_bits: int
    generate_width: int
    queue_depth: int
    stored: tuple[Stored, ...] = ()
    store_width: int = 1
    multiply: bool = False
    inbox: int = 0
    contents: str = "fixed"

    @property
    def lanes(self) -> int:
        """Physical lanes P; each does one SOP a cycle."""
        return self.grid[0] * self.grid[1] * self.width

    @property
    def rows(self) -> int:
        """Rows of a bank: those of the layer that needs most."""
        return max(layer.rows for layer in self.layers)

    @property
    def store_words(self) -> int:
        """Words of the store."""
        return max((item.base + item.words for item in self.stored), default=0)

    def parameter_depth(self, rows: int) -> int:
        """Words of a memory that holds so many rows of weights or levels."""
        if self.contents == "fixed":
            return rows
        return rows + max(0, LEAST_DEPTH - 1 - (rows - 1) % PART_DEPTH)


@dataclass(frozen=True)
class Program:
    """A network with the chain of cores that runs it."""

    network: Network
    cores: tuple[CorePlan, ...]

    @property
    def lanes(self) -> int:
        """Physical lanes of all cores together."""
        return sum(core.lanes for core in self.cores)

    @property
    def contents(self) -> str:
        """Whether parameters may change, the same in all cores: of `CONTENTS`."""
        return self.cores[0].contents


@lru_cache(maxsize=4096)
def steps(network: Network, source: str, population: str) -> tuple[Step, ...]:
    """The steps of a layer's accumulate phase while `source`, the layer or core before, generates its train.

    The stream comes first, unless the layer before is a readout. Diagonal connections from other sources are added by
    rows, all others by events; recurrent connections, through which nothing comes in the first time step, by neither
    where there is no other.
    """
    incoming = network.incoming(population)
    if network.schedule == "synchronous" and network.timesteps == 1:
        incoming = tuple(item for item in incoming if not network.recurrent(item))
    streamed = [item for item in incoming if item.source == source and item.geometry.max_windows is None]
    streamed.sort(key=lambda item: isinstance(item.geometry, Diagonal))  # a convolution rather than a diagonal
    first = streamed[0] if streamed else None
    sends = not isinstance(network.source(source), Population) or fires(network, source)
    found = [Step("stream", first.name if first else None)] if sends else []
    for item in incoming:
        if item is not first:
            found.append(Step("rows" if isinstance(item.geometry, Diagonal) else "events", item.name))
    return tuple(found)


def store_plan(network: Network, source: str, populations: tuple[str, ...], store_width: int) -> tuple[Stored, ...]:
    """Regions of the codes that a core with these layers has to keep, packed by the phases in which they live.

    Those of a recurrent connection live on into the next time step: nobody shares their region.
    """
    spans: dict[str, list[int]] = {}
    kept = {item.source for item in network.connections if item.target in populations and network.recurrent(item)}
    before = source
    origin = {}
    for phase, population in enumerate(populations):
        origin[before] = phase
        for step in steps(network, before, population):
            if step.kind != "stream" and step.connection is not None:
                connection = next(item for item in network.connections if item.name == step.connection)
                if connection.source in kept:  # into the next time step
                    spans[connection.source] = [0, len(populations) - 1]
                    continue
                spans.setdefault(connection.source, [origin[connection.source], phase])[1] = phase
        before = population
    placed: list[Stored] = []
    for name, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        channels, height, width = network.source(name).shape
        words = height * width * -(-channels // store_width)
        alive = sorted((item for item in placed if item.last >= first and item.first <= last), key=lambda i: i.base)
        base = 0
        for item in alive:
            if base + words <= item.base:
                break
            base = max(base, item.base + item.words)
        placed.append(Stored(name, first, last, base, words))
    return tuple(placed)


def fires(network: Network, population: str) -> bool:
    """Whether the population of that name fires, or is a readout."""
    found = network.source(population)
    return isinstance(found, Population) and isinstance(found.neuron, Neuron)
