"""Extents: what a core adds for a layer in which order, and how far an event reaches into its rows."""

import math
from functools import lru_cache

import numpy as np

from ..geometry import Conv2d, Dense, Diagonal, Geometry, Shape
from ..network import Connection, Network
from ..windows import SINGLE
from .landing import Landing, landings
from .program import CorePlan, LayerPlan, Step, steps


def listed_steps(network: Network, source: str, population: str) -> tuple[Step, ...]:
    """As `spikeloom.program.program.steps`, in the order in which they run."""
    return ordered_steps(network, source, steps(network, source, population))


@lru_cache(maxsize=4096)
def ordered_steps(network: Network, source: str, found: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps of a layer in the order in which they run.

    Beside the stream a diagonal connection of another train is added; after it come events, then all other diagonals.
    """
    streams, events = ([step for step in found if step.kind == kind] for kind in ("stream", "events"))
    rows = [step for step in found if step.kind == "rows"]
    rows.sort(key=lambda step: step.connection is not None and by_name(network, step.connection).source == source)
    beside = [
        step for step in rows[:1] if step.connection is not None and by_name(network, step.connection).source != source
    ]
    return *streams, *beside, *events, *rows[len(beside) :]


@lru_cache(maxsize=4096)
def by_name(network: Network, name: str) -> Connection:
    """The connection of that name."""
    return next(item for item in network.connections if item.name == name)


def heard(network: Network, connection: Connection) -> Shape:
    """Shape of the trains whose events reach the synapses."""
    return connection.geometry.heard(network.source(connection.source).shape)


def flat(network: Network, core: CorePlan) -> bool:
    """Whether a core takes the network's input by address: its first layer hears it through dense connections only."""
    plain = all(
        isinstance(item.geometry, Dense) and item.geometry.windows == SINGLE
        for item in network.incoming(core.layers[0].population)
    )
    return plain and core.source == network.inputs[0].name and all(item.source != core.source for item in core.stored)


def walked(network: Network, core: CorePlan, connection: Connection) -> Shape:
    """Shape of the trains whose events a core walks for a connection."""
    if connection.source == core.source and flat(network, core):
        return math.prod(network.source(core.source).shape), 1, 1
    return heard(network, connection)


def core_registers(core: CorePlan) -> bool:
    """Whether the potentials are registers rather than memories: one layer of one row, in one cell."""
    return len(core.layers) == 1 and core.rows == 1 and core.grid == (1, 1)


@lru_cache(maxsize=1024)
def kept_landings(geometry: Geometry, source: Shape, target: Shape, banks: tuple[int, int]) -> tuple[Landing, Landing]:
    """As `spikeloom.program.landing.landings`, kept."""
    return landings(geometry, source, target, banks)


@lru_cache(maxsize=4096)
def weight_passes(geometry: Geometry, source: Shape, target: Shape, banks: tuple[int, int]) -> int:
    """Passes that have weights of their own: so many rows of weights a source channel takes."""
    vertical, horizontal = kept_landings(geometry, source, target, banks)
    return len(vertical.kernel) * len(horizontal.kernel)


def outputs(geometry: Geometry, target: Shape) -> int:
    """Target channels that a source channel reaches."""
    if isinstance(geometry, Diagonal):
        return 1
    return target[0] // (geometry.groups if isinstance(geometry, Conv2d) else 1)


@lru_cache(maxsize=4096)
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
