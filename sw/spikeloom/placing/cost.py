"""What a core costs in cycles: phase by phase, from the mean activity that calibration found."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..network import Connection, Network
from ..neuron import Neuron
from ..program.digits import digits
from ..program.extents import by_name, core_registers, heard, ordered_steps, outputs
from ..program.levels import core_visits
from ..program.program import QUEUE_DEPTH, CorePlan, LayerPlan, Step
from ..program.visits import Visit, sent_digits
from ..windows import SINGLE
from .passes import event_cycles, mean_passes
from .queueing import LEADS, replay_cycles, stream_cycles

# From the last operation of a phase to the first one of the next, measured: events wait at the port; events come from
# the layer before; the core before can send only when this one has swapped.
PORT_CYCLES, PHASE_CYCLES, CHAIN_CYCLES = 12, 35, 52
IDLE_CYCLES = 23  # the same where the generator sends nothing, so that nothing comes
ROW_CYCLES, CELL_ROW_CYCLES = 6, 9  # until a row that the generator asks for is there; from several cells
EVENTS_OF_A_TRAIN = 2.2  # that is not silent, at most
GATHER_CYCLES = 6  # of a row of codes, besides its words
WORD_CYCLES = 2  # of a word of codes that is sent as events again, besides its slots and the places it is read from
REPLAY_CYCLES = 10  # from the last event that streams in to the first of these, measured


@dataclass(frozen=True)
class Phase:
    """Expected cycles of the phase in which a core accumulates `population`.

    Members
    -------
    stream : lane cycles of the events that stream in.
    drain : lane cycles in which the generator takes a row of the layer before.
    generator : cycles in which the generator passes the layer before (the last layer in phase 0).
    front : events that stream in, landing or not: the walker looks at one a cycle.
    replay : cycles of the events that are read back from the store.
    rows : lane cycles of a diagonal connection, row by row, of a train that was kept: beside the stream.
    fetch : cycles that takes with bringing the rows' codes from the store.
    late : cycles of the other diagonal connections: after the stream.
    begin : cycles in which nothing happens yet, or nothing any more.
    together : cycles of the stream and of the generator that brings it, which wait for each other: see `stream_cycles`;
        (0,) where none does.
    """

    population: str
    stream: float
    drain: int
    generator: int
    front: float
    replay: float
    rows: float
    fetch: float
    late: float
    begin: int = PHASE_CYCLES
    together: tuple[float, ...] = (0.0,)

    def across(self, ahead: float = 0.0) -> float:
        """Cycles until the stream is added, and what is added beside it; of its generator's pass a part was `ahead`."""
        lanes = self.stream + self.drain + self.rows
        together = float(np.interp(ahead, np.linspace(0, 1, len(self.together)), self.together))
        return max(lanes, self.generator, self.front, self.fetch, together) + self.begin

    @property
    def after(self) -> float:
        """Cycles of what waits until the generator is done: what is read back goes through the generator's queue."""
        return self.replay + self.late

    @property
    def cycles(self) -> float:
        """Cycles of the phase."""
        return self.across() + self.after


def phases(network: Network, core: CorePlan, sender: CorePlan | None = None) -> tuple[Phase, ...]:
    """The phases of a core, in the order in which they run: one before each visit of its generator.

    `sender`: the core before it, if that is known.
    """
    found = []
    visits, stored = core_visits(network, core), {item.source for item in core.stored}
    waits = PORT_CYCLES if core.source == network.inputs[0].name else CHAIN_CYCLES
    for number, visit in enumerate(visits):
        layer, before = core.layers[visit.layer], core.layers[visits[number - 1].layer]
        source = core.layers[visit.layer - 1].population if visit.layer else core.source
        listed = ordered_steps(network, source, visit.steps)
        key = core.weight_bits, core.store_width, core.generate_width or 1, source in stored, core.multiply
        phase = accumulated(network, layer, source, listed, *key)
        begin = PHASE_CYCLES if visits[number - 1].sends else IDLE_CYCLES
        if not visit.layer and any(step.kind == "stream" for step in listed):
            begin = waits
        drain = 0 if core_registers(core) else before.rows
        phase = replace(phase, drain=drain, generator=generator_cycles(core, before), begin=begin)
        found.append(replace(phase, together=_together(network, core, core if visit.layer else sender, visit, phase)))
    return tuple(found)


def _together(
    network: Network, core: CorePlan, sender: CorePlan | None, visit: Visit, phase: Phase
) -> tuple[float, ...]:
    """Cycles of the stream of a visit, and of the generator of `sender` that brings it."""
    names = [step.connection for step in visit.steps if step.kind == "stream"]
    if sender is None or not names or not phase.front:
        return (0.0,)
    before = sender.layers[visit.layer - 1]  # the last one of the core before
    depth = QUEUE_DEPTH * events_of_a_train(network, before.population)
    drain = phase.drain if sender is core else 0
    return stream_cycles(
        network,
        next((name for name in names if name), None),
        core.layers[visit.layer],
        before,
        (phase.front, max(phase.stream, phase.front) + drain),
        generator_cycles(sender, before) / before.rows,
        depth + (0 if sender is core else core.inbox),
        0 if sender is core else LEADS,
    )


@lru_cache(maxsize=16384)
def accumulated(
    network: Network,
    layer: LayerPlan,
    source: str,
    listed: tuple[Step, ...],
    weight_bits: int,
    store_width: int,
    slot: int,
    kept: bool,
    multiply: bool,
) -> Phase:
    """The phase of a layer in a core whose weights and words of the store are that wide, without the layer before.

    `slot`: codes of the store that are sent as events together. `listed`: what is added, see `ordered_steps`.
    `kept`: the train that streams in is stored: it announces words of silent neurons too.
    """
    lanes = layer.grid[0] * layer.grid[1] * layer.width
    announced = silent_words(network, source, store_width) if kept else 0.0
    found = Phase(layer.population, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for step in listed:
        if step.connection is None:
            found = replace(found, front=sent_events(network, source) + announced)
            continue
        connection = by_name(network, step.connection)
        if step.kind == "rows":
            planes, words = row_planes(network, connection, weight_bits, multiply), -(-lanes // store_width)
            added = float(layer.rows * planes)
            fetched = added + float(layer.rows * (words + GATHER_CYCLES))
            if connection.source == source or found.rows:
                found = replace(found, late=found.late + fetched)
            else:
                found = replace(found, rows=added, fetch=fetched)
            continue
        count = heard_events(network, connection) / closings(network, connection.source)
        each = event_cycles(network, layer, connection)
        if step.kind == "stream":
            # what lands nowhere hides behind an event of several passes
            found = replace(found, stream=count * each + announced * max(2 - each, 0), front=count + announced)
        else:
            read = read_cycles(network, connection, store_width, slot)
            depth = QUEUE_DEPTH * events_of_a_train(network, connection.source)
            pace = read / math.prod(heard(network, connection)[1:])
            paced = replay_cycles(network, connection.name, layer, (count, count * each), pace, depth)
            found = replace(found, replay=found.replay + max(count * each, count, read + REPLAY_CYCLES, paced))
    return found


def read_cycles(network: Network, connection: Connection, store_width: int, slot: int) -> int:
    """Cycles in which the reader goes through a stored train: all places of a pooling window, word by word."""
    channels, height, width = heard(network, connection)
    windows = connection.geometry.max_windows or SINGLE
    return height * width * -(-channels // store_width) * (windows.area + WORD_CYCLES + store_width // slot)


def silent_words(network: Network, name: str, store_width: int) -> float:
    """Expected words of a stored train whose first two neurons are silent: each is announced."""
    channels, height, width = network.source(name).shape
    trains = sent_events(network, name) / events_of_a_train(network, name)
    firing = min(trains / math.prod((channels, height, width)), 1.0)
    return height * width * -(-channels // store_width) * (1 - firing) ** 2


def events_of_a_train(network: Network, name: str) -> float:
    """Events of a neuron that is not silent, in the train that a population sends."""
    return min(EVENTS_OF_A_TRAIN, sent_digits(network, name))


def cycles(network: Network, core: CorePlan) -> float:
    """Expected cycles a sample of a core."""
    return sum(phase.cycles for phase in phases(network, core))


def events(network: Network, name: str) -> float:
    """Mean events a sample of an input or population; where nothing was counted at all, one in two neurons."""
    source = network.source(name)
    counted = any(item.activity for item in network.inputs) or source.activity
    return source.activity if counted else math.prod(source.shape) / 2


def closings(network: Network, name: str) -> int:
    """End marks a sample of an input's or a population's train: more than one where it comes in sweeps."""
    sender = network.sender(name)
    return sender.steps // sent_digits(network, name) if isinstance(sender, Neuron) else max(sender.sequence, 1)


def sent_events(network: Network, name: str) -> float:
    """Mean events of a train up to its end mark."""
    return events(network, name) / closings(network, name)


def heard_events(network: Network, connection: Connection) -> float:
    """Mean events a sample that reach the synapses.

    Where calibration did not count them: behind max pooling a train has about the root of the window more.
    """
    if any(connection.heard[0]):
        return sum(connection.heard[0])
    count = events(network, connection.source)
    if (windows := connection.geometry.max_windows) is None:
        return count
    left = math.prod(heard(network, connection)) / math.prod(network.source(connection.source).shape)
    return count * left * math.sqrt(windows.area)


def sops(network: Network, population: str) -> float:
    """Expected synaptic operations a sample into a population."""
    found = 0.0
    for connection in network.incoming(population):
        source, target = heard(network, connection), network.source(population).shape
        positions = mean_passes(connection.geometry, source, target, (1, 1), 0, connection.heard)
        found += heard_events(network, connection) * positions * outputs(connection.geometry, target)
    return found


def row_planes(network: Network, connection: Connection, weight_bits: int, multiply: bool) -> int:
    """Lane cycles of one row of a diagonal connection: for every digit of the weights one a bit plane, or just one."""
    planes = 1 if multiply else network.largest_code(connection.source).bit_length()
    return planes * len(digits(connection, weight_bits, multiply=multiply)[0])


def generator_cycles(core: CorePlan, layer: LayerPlan) -> int:
    """Cycles in which the generator passes a layer: a slot a cycle, and the wait for each row.

    The next row is asked for when the turn of the last cell comes.
    """
    slot = core.generate_width or 1
    row, last = scanned_slots(layer, slot)
    cells = core.grid[0] * core.grid[1]
    tail = max(row - (cells - 1) * core.width // slot, 0)
    wait = max((CELL_ROW_CYCLES if cells > 1 else ROW_CYCLES) - tail, 0)
    return (layer.rows - 1) * (row + wait) + last


@lru_cache(maxsize=4096)
def scanned_slots(layer: LayerPlan, width: int) -> tuple[int, int]:
    """Slots of `width` neighbours that the scan of a layer passes in every row, and in the last one.

    Every row ends with the last slot used in any row.
    """
    used = np.asarray((layer.neurons.reshape(layer.rows, -1, width) >= 0).any(axis=2))
    row = int(np.flatnonzero(np.asarray(used.any(axis=0)))[-1]) + 1
    return row, int(np.flatnonzero(used[-1])[-1]) + 1
