"""Placing: how many lanes each core gets, and whether the cores fit a board."""

import math
from dataclasses import dataclass

from .bounds import signed_bits
from .errors import DoesNotFit, NotBuilt, listed
from .geometry import Conv2d, Diagonal
from .measure import fan_out
from .network import Connection, Network, Population
from .neuron import Neuron, Silent
from .program import CorePlan, Program, plan_core

MAX_LANES = 128
MAX_ROWS = 2048  # deeper banks need several RAM blocks a bit, and their multiplexer costs clock: 73 instead of 87 MHz
SPARE = 0.5  # a core that is not the busiest may take this part of the busiest one's mean cycles: samples differ


@dataclass(frozen=True)
class Capacity:
    """What a board's device has, in its own units.

    Parameters
    ----------
    name : board or device, for messages.
    lut : four-input look-up tables.
    ram_blocks, ram_block_bits, ram_width : block RAMs, bits of one, widest word of one.
    lut_ram_depth : words up to which Yosys builds a memory from LUTs or flip-flops.
    """

    name: str
    lut: int
    ram_blocks: int
    ram_block_bits: int
    ram_width: int
    lut_ram_depth: int = 32


def require_chain(network: Network) -> None:
    """Raise `NotBuilt` listing what this version's chain of cores cannot carry, although the golden model can."""
    network.require_built()
    found = []
    if network.schedule != "two-phase":
        raise NotBuilt(f"Network '{network.name}': not built in gates yet: schedule '{network.schedule}'")
    source = network.inputs[0]
    if source.code != "plain":
        found.append(f"input '{source.name}': code '{source.code}'")
    if source.signed:
        found.append(f"input '{source.name}': signed")
    before = source.name
    for population in network.populations:
        incoming = network.incoming(population.name)
        if [connection.source for connection in incoming] != [before]:
            found.append(f"population '{population.name}' must have one connection, from '{before}'")
        for connection in incoming:
            if isinstance(connection.geometry, Diagonal):
                found.append(f"connection '{connection.name}': diagonal geometry")
            elif connection.geometry.pool_kind != "average":
                found.append(f"connection '{connection.name}': {connection.geometry.pool_kind} pooling")
        if len(population.neuron.initial) > 1:
            found.append(f"population '{population.name}': border classes")
        neuron = population.neuron
        if isinstance(neuron, Neuron) and neuron.growth not in (1.0, 2.0):
            found.append(f"population '{population.name}': growth {neuron.growth} needs a sweep a time step")
        if isinstance(neuron, Neuron) and neuron.code != "plain":
            found.append(f"population '{population.name}': code '{neuron.code}'")
        if isinstance(neuron, Neuron) and neuron.signed:
            found.append(f"population '{population.name}': signed")
        if isinstance(neuron, Neuron) and neuron.growth in (1.0, 2.0) and not neuron.divides:
            found.append(f"population '{population.name}': a reset or thresholds other than theta")
        before = population.name
    for readout in network.readouts:
        if network.source(readout.population).shape[1:] != (1, 1):
            found.append(f"readout '{readout.population}': shape must be (O, 1, 1) in gates")
    if not isinstance(network.populations[-1].neuron, Silent):
        found.append(f"population '{before}': the last one must be the readout")
    if found:
        raise NotBuilt(f"Network '{network.name}': not built in gates yet: {listed(found)}")


def place(network: Network, *, lanes: int | None = None, capacity: Capacity | None = None) -> Program:
    """Choose the lanes of every core: one core a layer.

    With `lanes`, every core gets that many (no more than it can use). Otherwise the busiest core sets the pace with up
    to `MAX_LANES`, the others get as few as keep up with it, and all shrink together until they fit `capacity`.

    Raises
    ------
    NotBuilt
        The network needs something the gates do not do yet.
    DoesNotFit
        Listing every reason.
    """
    require_chain(network)
    count = len(network.populations)
    if lanes is not None:
        if lanes < 1:
            raise DoesNotFit(f"Lanes: must be at least 1, not {lanes}")
        program = Program(network, tuple(plan_core(network, i, lanes) for i in range(count)))
        found = [] if capacity is None else shortages(program, capacity)
        if found:
            fix = f"with {lanes} lanes a core; choose fewer lanes or a larger board"
            raise DoesNotFit(f"Network '{network.name}' on '{capacity.name}': {listed(found)}, {fix}")  # type: ignore[union-attr]
        return program
    most = MAX_LANES
    while True:
        program = balanced(network, most)
        found = [] if capacity is None else shortages(program, capacity)
        if not found:
            return program
        if most == 1:
            raise DoesNotFit(
                f"Network '{network.name}' on '{capacity.name}': {listed(found)}, "  # type: ignore[union-attr]
                "even with one lane a core; choose a larger board, a smaller network or fewer weight bits"
            )
        most = max(1, most * 3 // 4)


def balanced(network: Network, most: int) -> Program:
    """The busiest layer gets up to `most` lanes, every other as few as keep up with it."""
    widest = [plan_core(network, i, most) for i in range(len(network.populations))]
    pace = max(cycles(network, plan) for plan in widest)
    cores = []
    for i, plan in enumerate(widest):
        if cycles(network, plan) < pace:
            options = (plan_core(network, i, lanes) for lanes in range(1, plan.lanes))
            plan = next((one for one in options if one.rows <= MAX_ROWS and cycles(network, one) <= SPARE * pace), plan)
        cores.append(plan)
    return Program(network, tuple(cores))


def cycles(network: Network, plan: CorePlan) -> float:
    """Expected cycles a sample of a core: rows its events touch, or slots its generator tests, whichever is more.

    Uses the mean activity from calibration; where there is none, one event in two neurons.
    """
    connection = _connection(network, plan)
    source = network.source(connection.source)
    events = source.activity or math.prod(source.shape) / 2
    outputs, reach = _outputs_reached(network, plan)
    positions = float(fan_out(network, connection).mean()) / outputs
    return max(events * positions * reach, plan.rows * plan.lanes / max(plan.generate_width, 1))


def shortages(program: Program, capacity: Capacity) -> list[str]:
    """Every resource the program is expected to need more of than there is, as sentences; empty where it fits."""
    luts = sum(core_luts(program.network, core) for core in program.cores)
    blocks = sum(core_blocks(program.network, core, capacity) for core in program.cores)
    found = []
    if luts > capacity.lut:
        found.append(f"needs about {luts} of {capacity.lut} LUTs")
    if blocks > capacity.ram_blocks:
        found.append(f"needs about {blocks} of {capacity.ram_blocks} RAM blocks")
    return found


def core_luts(network: Network, plan: CorePlan) -> int:
    """Estimated LUTs of a core: lanes, generator, and a walker's worth of control."""
    shifts = _shift_levels(network, plan)
    weight_bits = _connection(network, plan).weight_bits
    lane = shifts * (weight_bits + 2 * shifts) + 2 * plan.bits
    if plan.rows > 1:
        lane += 6 * plan.bits  # forwarding, bank selection
    population = network.source(plan.population)
    assert isinstance(population, Population)
    steps = population.neuron.timesteps if isinstance(population.neuron, Neuron) else 0
    return plan.lanes * lane + plan.generate_width * (2 * steps + 3) * plan.bits + 400


def core_blocks(network: Network, plan: CorePlan, capacity: Capacity) -> int:
    """Estimated RAM blocks of a core: its weights, its two banks if it has several rows, and its queue."""
    connection, (outputs, reach) = _connection(network, plan), _outputs_reached(network, plan)
    rows = connection.weights.size // outputs * reach  # every weight once, those of a source channel side by side
    blocks = ram_blocks(rows, plan.lanes * connection.weight_bits, capacity)
    if plan.rows > 1:
        blocks += 2 * ram_blocks(plan.rows, plan.lanes * plan.bits, capacity)
    return blocks + ram_blocks(plan.queue_depth, _word_bits(network, plan), capacity)


def ram_blocks(depth: int, width: int, capacity: Capacity) -> int:
    """Block RAMs of a memory: the best aspect ratio; shallow ones go to LUTs."""
    if depth <= capacity.lut_ram_depth:
        return 0
    options = []
    word = capacity.ram_width
    while word >= 1:
        options.append(-(-width // word) * -(-depth * word // capacity.ram_block_bits))
        word //= 2
    return min(options)


def _word_bits(network: Network, plan: CorePlan) -> int:
    """Width of a word of the event queue: coordinates and the trains of one slot."""
    population = network.source(plan.population)
    assert isinstance(population, Population)
    steps = population.neuron.timesteps if isinstance(population.neuron, Neuron) else 0
    return sum((extent - 1).bit_length() for extent in population.shape) + steps * plan.generate_width + 1


def _outputs_reached(network: Network, plan: CorePlan) -> tuple[int, int]:
    """Output channels that a source channel reaches, and the groups of lanes these lie in: rows at every position."""
    geometry, channels = _connection(network, plan).geometry, network.source(plan.population).shape[0]
    outputs = channels // (geometry.groups if isinstance(geometry, Conv2d) else 1)
    firsts = range(0, channels, outputs)
    return outputs, max((first + outputs - 1) // plan.lanes - first // plan.lanes + 1 for first in firsts)


def _connection(network: Network, plan: CorePlan) -> Connection:
    (connection,) = network.incoming(plan.population)
    return connection


def _shift_levels(network: Network, plan: CorePlan) -> int:
    return max(0, signed_bits(0, network.largest_code(plan.source)) - 1).bit_length() - 1
