"""What a core costs in cycles: phase by phase, from the mean activity that calibration found."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..geometry import Geometry, Shape
from ..network import Connection, Network, Profile
from ..neuron import Neuron
from ..program.digits import digits
from ..program.extents import by_name, core_registers, heard, kept_landings, ordered_steps, outputs, reach
from ..program.levels import core_visits
from ..program.program import CorePlan, LayerPlan, Step
from ..program.visits import sent_digits
from ..windows import SINGLE

# From the last operation of a phase to the first one of the next, measured: events wait at the port; events come from
# the layer before; the core before can send only when this one has swapped.
PORT_CYCLES, PHASE_CYCLES, CHAIN_CYCLES = 12, 35, 52
IDLE_CYCLES = 23  # the same where the generator sends nothing, so that nothing comes
ROW_CYCLES, CELL_ROW_CYCLES = 6, 9  # until a row that the generator asks for is there; from several cells
EVENTS_OF_A_TRAIN = 2.2  # that is not silent
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

    @property
    def cycles(self) -> float:
        """Cycles of the phase."""
        lanes = self.stream + self.drain + self.rows
        beside = max(lanes, self.generator, self.front, self.fetch)
        return beside + self.replay + self.late + self.begin


def phases(network: Network, core: CorePlan) -> tuple[Phase, ...]:
    """The phases of a core, in the order in which they run: one before each visit of its generator."""
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
        found.append(replace(phase, drain=drain, generator=generator_cycles(core, before), begin=begin))
    return tuple(found)


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
            found = replace(found, replay=found.replay + max(count * each, count, read + REPLAY_CYCLES))
    return found


def read_cycles(network: Network, connection: Connection, store_width: int, slot: int) -> int:
    """Cycles in which the reader goes through a stored train: all places of a pooling window, word by word."""
    channels, height, width = heard(network, connection)
    windows = connection.geometry.max_windows or SINGLE
    return height * width * -(-channels // store_width) * (windows.area + WORD_CYCLES + store_width // slot)


def silent_words(network: Network, name: str, store_width: int) -> float:
    """Expected words of a stored train whose first two neurons are silent: each is announced."""
    channels, height, width = network.source(name).shape
    together = min(EVENTS_OF_A_TRAIN, sent_digits(network, name))
    firing = min(sent_events(network, name) / math.prod((channels, height, width)) / together, 1.0)
    return height * width * -(-channels // store_width) * (1 - firing) ** 2


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


def event_cycles(network: Network, layer: LayerPlan, connection: Connection) -> float:
    """Mean lane cycles of an event: passes times rows of channels, at least the one in which it is looked at."""
    source = heard(network, connection)
    rows = reach(connection.geometry, source, layer)
    return mean_passes(connection.geometry, source, layer.shape, layer.spread, rows, connection.heard)


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


@lru_cache(maxsize=4096)
def mean_passes(
    geometry: Geometry,
    source: Shape,
    target: Shape,
    banks: tuple[int, int],
    rows: int = 0,
    heard: Profile = ((), ()),
) -> float:
    """Passes of an event, averaged over the source's positions; with `rows`, cycles: rows a pass, and at least one.

    `heard`: events by row and by column, which weigh the positions, as if columns did not depend on rows; where it is
    not known, all positions weigh the same.
    """
    vertical, horizontal = kept_landings(geometry, source, target, banks)
    passes = np.outer(vertical.passes, horizontal.passes)
    taken = np.maximum(passes * rows, 1) if rows else passes
    if not any(heard[0]):
        return float(taken.mean())
    by_row, by_column = (np.array(part) for part in heard)
    return float(by_row @ taken @ by_column / (by_row.sum() * by_column.sum()))
