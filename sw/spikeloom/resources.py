"""What a core takes of a device: its memories one by one, block RAMs, look-up tables."""

from dataclasses import dataclass

from .bounds import signed_bits
from .cost import core_registers
from .geometry import Diagonal
from .lookups import table_sizes
from .network import Network, Population
from .neuron import Neuron
from .program import CorePlan, LayerPlan, Program
from .ram import blocks
from .weights import weight_rows


@dataclass(frozen=True)
class Capacity:
    """What a board's device has, in its own units.

    Parameters
    ----------
    name : board or device, for messages.
    lut : four-input look-up tables.
    ram_blocks : block RAMs.
    family : of `spikeloom.ram.FAMILIES`.
    multipliers : of 18 by 18 bits.
    """

    name: str
    lut: int
    ram_blocks: int
    family: str
    multipliers: int = 0


def memories(network: Network, core: CorePlan) -> tuple[tuple[str, int, int, str], ...]:
    """Every memory of a core: (name, depth, width in bits, kind as in `spikeloom.ram`)."""
    found = [("weights", sum(weight_rows(network, core).values()), core.lanes * core.weight_bits, "rom")]
    if not core_registers(core):
        cells = core.grid[0] * core.grid[1]
        found += [(f"bank{i}", 2 * core.rows, core.width * core.bits, "block") for i in range(cells)]
    if core.stored:
        codes = max(network.largest_code(item.source).bit_length() for item in core.stored)
        found.append(("store", core.store_words, core.store_width * codes, "ram"))
    if core.queue_depth:
        found.append(("queue", core.queue_depth - 1, _word_bits(network, core), "ram"))  # the last word is a register
    found += [(name, depth, width, "rom") for name, (depth, width) in table_sizes(network, core).items()]
    return tuple(found)


def core_blocks(network: Network, core: CorePlan, family: str) -> int:
    """Block RAMs of a core."""
    return sum(blocks(depth, width, kind, family) for _, depth, width, kind in memories(network, core))


def core_luts(network: Network, core: CorePlan) -> int:
    """Estimated LUTs of a core: lanes, generator, and a walker's worth of control."""
    sources = {core.source, *(layer.population for layer in core.layers[:-1])}
    levels = max(max(0, signed_bits(0, network.largest_code(name)) - 1).bit_length() - 1 for name in sources)
    lane = levels * (core.weight_bits + 2 * levels) + 2 * core.bits
    if not core_registers(core):
        lane += 6 * core.bits  # forwarding, bank selection
    if core.grid != (1, 1):
        lane += 24  # rotation
    diagonal = any(isinstance(item.geometry, Diagonal) for item in network.connections)
    lane += 6 if diagonal and core.stored else 0
    trains = max((neuron.timesteps for layer in core.layers if (neuron := _neuron(network, layer))), default=0)
    return core.lanes * lane + core.generate_width * (2 * trains + 3) * core.bits + 400 + 60 * len(core.layers)


def shortages(program: Program, capacity: Capacity) -> list[str]:
    """Every resource the program is expected to need more of than there is, as sentences; empty where it fits."""
    luts = sum(core_luts(program.network, core) for core in program.cores)
    blocks = sum(core_blocks(program.network, core, capacity.family) for core in program.cores)
    found = []
    if luts > capacity.lut:
        found.append(f"needs about {luts} of {capacity.lut} LUTs")
    if blocks > capacity.ram_blocks:
        found.append(f"needs about {blocks} of {capacity.ram_blocks} RAM blocks")
    return found


def _word_bits(network: Network, core: CorePlan) -> int:
    """Width of a word of the event queue: a slot's trains (and signs), its coordinates, where it goes, the end mark."""
    firing = [layer for layer in core.layers if _neuron(network, layer)]
    coordinates = sum(max((layer.shape[axis] - 1).bit_length() for layer in firing) for axis in range(3))
    spikes = max(network.train(layer.population)[1] for layer in firing) * core.generate_width
    signed = any(neuron.code == "naf" for layer in firing if (neuron := _neuron(network, layer)))
    return spikes * (2 if signed else 1) + coordinates + 3


def _neuron(network: Network, layer: LayerPlan) -> Neuron | None:
    """The neuron of a layer that fires."""
    population = network.source(layer.population)
    return population.neuron if isinstance(population, Population) and isinstance(population.neuron, Neuron) else None
