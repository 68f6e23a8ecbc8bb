"""What a core costs in cycles: phase by phase, from the mean activity that calibration found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .digits import digits
from .geometry import Conv2d, Dense, Diagonal, Geometry, Shape
from .landing import landings
from .network import Connection, Network
from .program import CorePlan, LayerPlan, steps

PHASE_CYCLES = 20  # from the last event of a phase until the first one of the next
PIPELINE_CYCLES = 20  # from a phase's first slot until its first event reaches the lanes


@dataclass(frozen=True)
class Phase:
    """Expected cycles of the phase in which a core accumulates `population`.

    Members
    -------
    stream : lane cycles of the events that stream in.
    drain : lane cycles in which the generator takes a row of the layer before.
    generator : slots of the layer before (of the last layer in phase 0) that the generator passes.
    front : events that stream in, landing or not: the walker looks at one a cycle.
    replay : cycles of the events that are read back from the store.
    rows : lane cycles of the diagonal connections, row by row, of trains that were kept: beside the stream.
    fetch : cycles in which the rows' codes come from the store.
    late : cycles of the diagonal connections of the train that streams in: after the stream.
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

    @property
    def cycles(self) -> float:
        """Cycles of the phase."""
        lanes = self.stream + self.drain + self.rows
        return (
            max(lanes, self.generator + PIPELINE_CYCLES, self.front, self.fetch)
            + self.replay
            + self.late
            + PHASE_CYCLES
        )


def phases(network: Network, core: CorePlan) -> tuple[Phase, ...]:
    """The phases of a core, in the order in which they run."""
    found = []
    source, before = core.source, core.layers[-1]
    for layer in core.layers:
        stream = replay = rows = fetch = late = front = 0.0
        for step in steps(network, source, layer.population):
            if step.connection is None:
                front = events(network, source)
                continue
            connection = by_name(network, step.connection)
            if step.kind == "rows":
                busy, fetched = (layer.rows * part for part in row_cycles(network, core, connection))
                if connection.source == source:
                    late += max(busy, fetched)
                else:
                    rows, fetch = rows + busy, fetch + max(busy, fetched)
                continue
            count = events(network, connection.source)
            lanes = count * event_cycles(network, layer, connection)
            if step.kind == "stream":
                stream, front = lanes, count
            else:
                words = next(item.words for item in core.stored if item.source == connection.source)
                replay += max(lanes, count, words)
        slots = scanned_slots(before, core.generate_width or 1)
        drain = 0 if core_registers(core) else before.rows
        found.append(Phase(layer.population, stream, drain, slots, front, replay, rows, fetch, late))
        source, before = layer.population, layer
    return tuple(found)


def cycles(network: Network, core: CorePlan) -> float:
    """Expected cycles a sample of a core."""
    return sum(phase.cycles for phase in phases(network, core))


def interval(network: Network, cores: Sequence[CorePlan]) -> float:
    """Expected cycles between samples: those of the busiest core."""
    return max(cycles(network, core) for core in cores)


def by_name(network: Network, name: str) -> Connection:
    """The connection of that name."""
    return next(item for item in network.connections if item.name == name)


def events(network: Network, name: str) -> float:
    """Mean events a sample of an input or population; where calibration is silent, one in two neurons."""
    source = network.source(name)
    return source.activity or math.prod(source.shape) / 2


def sops(network: Network, population: str) -> float:
    """Expected synaptic operations a sample into a population."""
    found = 0.0
    for connection in network.incoming(population):
        source, target = network.source(connection.source).shape, network.source(population).shape
        positions = mean_passes(connection.geometry, source, target, (1, 1))
        found += events(network, connection.source) * positions * outputs(connection.geometry, target)
    return found


def core_registers(core: CorePlan) -> bool:
    """Whether the potentials are registers rather than memories: one layer of one row."""
    return len(core.layers) == 1 and core.rows == 1


def row_cycles(network: Network, core: CorePlan, connection: Connection) -> tuple[int, int]:
    """Cycles of one row of a diagonal connection: of the lanes (a bit plane of a digit a cycle), of fetching codes."""
    planes = network.largest_code(connection.source).bit_length() * len(digits(connection, core.weight_bits)[0])
    return planes, -(-core.lanes // core.store_width)


def event_cycles(network: Network, layer: LayerPlan, connection: Connection) -> float:
    """Mean lane cycles of an event: passes times rows of channels, at least the one in which it is looked at."""
    source = network.source(connection.source).shape
    rows = reach(connection.geometry, source, layer)
    return mean_passes(connection.geometry, source, layer.shape, layer.spread, rows)


@lru_cache(maxsize=4096)
def scanned_slots(layer: LayerPlan, width: int) -> int:
    """Slots of `width` neighbours that the scan of a layer passes: every row ends with the last one used in any row."""
    used = np.asarray((layer.neurons.reshape(layer.rows, -1, width) >= 0).any(axis=2))
    row = int(np.flatnonzero(np.asarray(used.any(axis=0)))[-1]) + 1
    return (layer.rows - 1) * row + int(np.flatnonzero(used[-1])[-1]) + 1


@lru_cache(maxsize=4096)
def mean_passes(geometry: Geometry, source: Shape, target: Shape, banks: tuple[int, int], rows: int = 0) -> float:
    """Passes of an event, averaged over the source's positions; with `rows`, cycles: rows a pass, and at least one."""
    vertical, horizontal = landings(geometry, source, target, banks)
    passes = np.outer(vertical.passes, horizontal.passes)
    return float(np.maximum(passes * rows, 1).mean() if rows else passes.mean())


def outputs(geometry: Geometry, target: Shape) -> int:
    """Target channels that a source channel reaches."""
    if isinstance(geometry, Diagonal):
        return 1
    return target[0] // (geometry.groups if isinstance(geometry, Conv2d) else 1)


def reach(geometry: Geometry, source: Shape, layer: LayerPlan) -> int:
    """Rows of channels that an event reaches at each position, the most of any source channel."""
    if isinstance(geometry, Dense):
        return layer.groups
    firsts = channel_starts(geometry, source, layer.shape)
    lasts = firsts + outputs(geometry, layer.shape) - 1
    return int((lasts // layer.channels - firsts // layer.channels).max()) + 1


def channel_starts(geometry: Geometry, source: Shape, target: Shape) -> np.ndarray:
    """First target channel that each source channel reaches, int64 [C]."""
    channels = np.arange(source[0])
    if isinstance(geometry, Diagonal):
        return channels + geometry.channel_offset
    if isinstance(geometry, Conv2d):
        return channels // (source[0] // geometry.groups) * (target[0] // geometry.groups)
    return channels * 0
