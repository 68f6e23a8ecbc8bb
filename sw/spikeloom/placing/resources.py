"""What a core takes of a device: its memories one by one, block RAMs, look-up tables."""

from dataclasses import dataclass
from functools import lru_cache

from ..geometry import Diagonal, even_bits
from ..network import Network, Population
from ..neuron import Neuron
from ..program.digits import digits
from ..program.extents import by_name, core_registers, flat
from ..program.levels import core_bits, core_visits, integrates, kept_words
from ..program.lookups import table_sizes
from ..program.parameters import WORD_BITS
from ..program.program import CorePlan, LayerPlan, Program
from ..program.visits import sent_digits, stored_bits, unrolled
from ..program.weights import used_lanes, weight_rows
from .ram import blocks, units

LUTS_OF_A_UNIT = 6  # of distributed RAM: two slices, and half of one for its write port
INTEGRATE_LUTS = 27  # a bit of a neuron that is visited step by step: 25 and 30 in two cores, by Yosys
FOLD_LUTS = 250  # flags of the moves of folded layers, and their scans
SLOTS = 16  # that wait between a bank and the generator
ICE40_CELLS = 2.1  # cells a LUT: most flip-flops take one alone; memories that are not block RAMs are flip-flops
ICE40_CELLS_REGISTERS = 1.3  # where the potentials are registers, which share cells with the adders before them
IDENTITY_BLOCKS = 1  # that say which build it is, where its parameters may change
PARAMETERS = {"fixed": "rom", "replaceable": "block rom", "loadable": "block"}  # kind of memory of what may change
# of the link to the host, with its UART, in the units of `Capacity`: LUTs or cells, with carries
LINK_LUTS = {"ice40": 1160, "ecp5": 1250, "gowin": 1600, "gatemate": 2100}
LINK_MEMORIES = 512, 512  # bytes of requests that wait, and of replies that are sent
LOADER_LUTS, LOADED_WORD_LUTS = (
    100,
    25,
)  # of a core whose parameters are loaded, and of a word of a row, to be read back
GATEMATE_CELLS = 1.75  # halves of a CPE a LUT: multiplexers are cells of their own
LOGIC_WORDS, PROGRAM_BITS = 16, 240  # a program of so few words is logic; bits of a word of a longer one, about


@dataclass(frozen=True)
class Capacity:
    """What a board's device has, in its own units.

    Parameters
    ----------
    name : board or device, for messages.
    lut : four-input look-up tables that a network may take.
    ram_blocks : block RAMs that a network may take.
    family : of `spikeloom.placing.ram.FAMILIES`, which is that of the device but for few.
    multipliers : of 18 by 18 bits.
    link_lut, link_blocks : what the link to the host takes besides.
    """

    name: str
    lut: int
    ram_blocks: int
    family: str
    multipliers: int = 0
    link_lut: int = 0
    link_blocks: int = 0


@lru_cache(maxsize=1024)
def memories(network: Network, core: CorePlan, *, mapped: bool = False) -> tuple[tuple[str, int, int, str], ...]:
    """Every memory of a core: (name, depth, width in bits, kind as in `spikeloom.placing.ram`).

    `mapped`: without what never changes and Yosys drops: bits of look-up tables, weights of lanes that have none. A bit
    that all weights of a lane happen to share is still counted.
    """
    rows, taken = sum(weight_rows(network, core).values()), [core.lanes // core.grid[0]] * core.grid[0]
    kind = PARAMETERS[core.contents]
    if mapped and kind != "block":  # what can be written cannot be dropped
        taken = used_lanes(network, core).sum((1, 2)).tolist()
    found = [
        (f"weights{i}", core.parameter_depth(rows), lanes * core.weight_bits, kind) for i, lanes in enumerate(taken)
    ]
    if not core_registers(core):
        cells = core.grid[0] * core.grid[1]
        found += [(f"bank{i}", 2 * core.rows, core.width * core.bits, "ram") for i in range(cells)]
        found.append(("slots", SLOTS - 1, _slot_bits(core), "ram"))  # the last one is a register
    if core.stored:
        codes = max(stored_bits(network, item.source) for item in core.stored)
        found.append(("store", core.store_words, core.store_width * codes, "ram"))
    if core.queue_depth:
        found.append(("queue", core.queue_depth - 1, _word_bits(network, core), "ram"))  # the last word is a register
    kept = (ends[-1] for ends in kept_words(network, core))
    slot = (core.generate_width or 1) * core.bits
    found += [(name, words, slot, "ram") for name, words in zip(("state", "input"), kept, strict=True) if words]
    if core.inbox:
        found.append(("inbox", core.inbox - 1, _event_bits(network, core), "ram"))
    words = program_words(network, core)
    if words > LOGIC_WORDS:
        found.append(("program", words, PROGRAM_BITS, "rom"))
    for name, (depth, width) in table_sizes(network, core, mapped=mapped).items():
        found.append((name, depth, width, kind if name == "neurons" else "rom"))
    if kind == "block":  # loaded word by word
        found = [
            (name, depth, -(-width // WORD_BITS) * WORD_BITS if sort == kind else width, sort)
            for name, depth, width, sort in found
        ]
    return tuple(found)


def decoder(network: Network, core: CorePlan) -> tuple[tuple[str, int, int, str], ...]:
    """The memory that finds an input event's coordinates, as `memories`: none where they are bits of its address."""
    channels, height, width = network.inputs[0].shape
    if flat(network, core) or not (height & (height - 1) or width & (width - 1)):
        return ()
    below = even_bits(width)
    bits = sum((extent - 1).bit_length() for extent in (channels, height, width)) - below
    return (("coordinates", channels * height * width >> below, bits, "rom"),)


def program_words(network: Network, core: CorePlan) -> int:
    """Words of a core's program: its phases' steps; one diagonal connection a phase is added beside the stream."""
    found = 0
    for visit in unrolled(network, core_visits(network, core))[0]:
        source = core.layers[visit.layer - 1].population if visit.layer else core.source
        rows = [
            by_name(network, step.connection).source for step in visit.steps if step.kind == "rows" and step.connection
        ]
        found += max(len(visit.steps) - any(train != source for train in rows), 1)
    return found


def core_blocks(network: Network, core: CorePlan, family: str) -> int:
    """Block RAMs of a core, the decoder before it included."""
    found = memories(network, core, mapped=True)
    if core.source == network.inputs[0].name:
        found += decoder(network, core)
    return sum(blocks(depth, width, kind, family) for _, depth, width, kind in found)


def core_luts(network: Network, core: CorePlan, family: str) -> int:
    """Estimated LUTs of a core; logic cells of iCE40, in which a LUT and a flip-flop lie, halves of CPEs of GateMate.

    Fitted to what Yosys made of nine networks with 8 to 144 lanes for ECP5 (within 13 %), and nextpnr of nine with 1 to
    42 lanes for iCE40 (within 17 %), two for ECP5 whose parameters are loaded (within 17 %), and Yosys' cells of three
    with 22 to 138 lanes for GateMate (within 14 %).
    """
    distances = _distances(network, core)
    lane = 2.0 * core.bits if core_registers(core) else 2.75 * core.bits  # adder, forwarding, way to the generator
    if core.multiply:
        lane += 14
    else:
        lane += 0.9 * (core.weight_bits + distances - 1) * (distances - 1).bit_length()
    cells = core.grid[0] * core.grid[1]
    if cells > 1:
        lane += 2 * core.weight_bits  # rotation
    steps = max((sent_digits(network, layer.population) for layer in core.layers if _neuron(network, layer)), default=0)
    generator = 2.5 * core.generate_width * steps * core.bits
    if integrates(network, core):
        generator += INTEGRATE_LUTS * (core.generate_width or 1) * core.bits
    control = 250 + 60 * len(core.layers) + (300 if core.stored else 0) + (40 * cells if cells > 1 else 0)
    if any(layer.folded for layer in core.layers):
        control += FOLD_LUTS
    if core.contents == "loadable":
        control += LOADER_LUTS
    if core.inbox:
        control += 5 * core.inbox.bit_length()
    memory = 0.0
    for _, depth, width, kind in memories(network, core, mapped=True):
        block, distributed = units(depth, width, kind, family)
        bit = 1 if kind == "ram" else 1 / 16
        if kind == "block":
            control += LOADED_WORD_LUTS * width // WORD_BITS
        memory += LUTS_OF_A_UNIT * distributed + (0 if block or distributed else depth * width * bit)
    taken = 1.0
    if family == "gatemate":
        taken = GATEMATE_CELLS
    if family == "ice40":
        taken = ICE40_CELLS_REGISTERS if core_registers(core) else ICE40_CELLS
    return round(taken * (core.lanes * lane + generator + control + memory))


def _distances(network: Network, core: CorePlan) -> int:
    """Different distances by which a lane shifts its weight."""
    largest = 0
    for name in weight_rows(network, core):
        connection = by_name(network, name)
        growth, timesteps = network.train(connection.source)
        own = (
            digits(connection, core.weight_bits)[0][-1]
            if isinstance(connection.geometry, Diagonal)
            else connection.shift
        )
        largest = max(largest, own + (timesteps - 1 if growth == 2.0 else 0))
    return largest + 1


def shortages(program: Program, capacity: Capacity) -> list[str]:
    """Every resource the program is expected to need more of than there is, as sentences; empty where it fits."""
    luts = sum(core_luts(program.network, core, capacity.family) for core in program.cores) + capacity.link_lut
    blocks = all_blocks(program, capacity)
    most, most_blocks = capacity.lut + capacity.link_lut, capacity.ram_blocks + capacity.link_blocks
    found = []
    if luts > most:
        found.append(f"needs about {luts} of {most} LUTs")
    if blocks > most_blocks:
        found.append(f"needs about {blocks} of {most_blocks} RAM blocks")
    return found


def link_blocks(network: Network, family: str) -> int:
    """Block RAMs of the link to the host, whose third memory holds the result of a sample."""
    bits, readouts = core_bits(network), [item.population for item in network.readouts]
    largest = max(bits[name] for name in readouts)
    result = sum(network.source(name).shape[0] * -(-largest // 8) + 1 for name in readouts)
    return sum(blocks(depth, 8, "ram", family) for depth in (*LINK_MEMORIES, result))


def all_blocks(program: Program, capacity: Capacity) -> int:
    """Block RAMs of a program and of the link, which tells another identity where parameters may change."""
    own = sum(core_blocks(program.network, core, capacity.family) for core in program.cores)
    return own + capacity.link_blocks + (0 if program.contents == "fixed" else IDENTITY_BLOCKS)


def _slot_bits(core: CorePlan) -> int:
    """Width of a slot: potentials, coordinates of any place of any layer, the end mark."""
    extents = [
        (layer.groups * layer.channels, layer.blocks[0] * layer.spread[0], layer.blocks[1] * layer.spread[1])
        for layer in core.layers
    ]
    coordinates = sum((max(extent) - 1).bit_length() for extent in zip(*extents, strict=True))
    return max(core.generate_width, 1) * core.bits + coordinates + 1


def _word_bits(network: Network, core: CorePlan) -> int:
    """Width of a word of the event queue: a slot's trains (and signs), its coordinates, where it goes, the end mark."""
    firing = [layer for layer in core.layers if _neuron(network, layer)]
    coordinates = sum(max((layer.shape[axis] - 1).bit_length() for layer in firing) for axis in range(3))
    spikes = max(sent_digits(network, layer.population) for layer in firing) * core.generate_width
    neurons = [neuron for layer in firing if (neuron := _neuron(network, layer))]
    signed = any(neuron.code == "naf" or neuron.signed for neuron in neurons)
    return spikes * (2 if signed else 1) + coordinates + 3


def _event_bits(network: Network, core: CorePlan) -> int:
    """Width of an event at a core's port: coordinates, time step, sign, whether it is an announcement, the end mark."""
    source = network.source(core.source)
    neuron = source.neuron if isinstance(source, Population) else None
    flags = 1 + (getattr(neuron, "code", "plain") == "naf") + any(item.source == core.source for item in core.stored)
    steps = network.train(core.source)[1]
    return sum((extent - 1).bit_length() for extent in (*source.shape, steps)) + flags


def _neuron(network: Network, layer: LayerPlan) -> Neuron | None:
    """The neuron of a layer that fires."""
    population = network.source(layer.population)
    return population.neuron if isinstance(population, Population) and isinstance(population.neuron, Neuron) else None
