"""How long a core may take: bounds far above what it needs, so that whoever waits longer waits for a hang."""

from collections.abc import Sequence

import numpy as np

from ..network import Connection, Network
from .landing import landings
from .program import LayerPlan
from .visits import sent_digits, visits


def busy_cycles(network: Network, source: str, layers: Sequence[LayerPlan]) -> int:
    """Cycles that no sample keeps a core busy, pauses of its neighbours left out."""
    return sum(sum(phase) for phase in _phases(network, source, layers))


def silent_cycles(network: Network, source: str, layers: Sequence[LayerPlan]) -> int:
    """Cycles in which nothing leaves a core, although it works: one scan of a bank, replayed trains."""
    return max(scan + replayed for scan, _, replayed in _phases(network, source, layers))


def _phases(network: Network, source: str, layers: Sequence[LayerPlan]) -> list[tuple[int, int, int]]:
    """Cycles before each visit: the scan of a bank, its stream, and what is replayed from the store."""
    found = []
    deepest = max(layer.rows * layer.grid[0] * layer.grid[1] * layer.width for layer in layers)
    for visit in visits(network, source, tuple(layer.population for layer in layers)):
        layer, stream, replayed = layers[visit.layer], 0, 0
        for step in visit.steps:
            connection = next((item for item in network.connections if item.name == step.connection), None)
            if connection is None:
                continue
            if step.kind == "rows":
                timesteps = sent_digits(network, connection.source)
                lanes = layer.grid[0] * layer.grid[1] * layer.width
                replayed += layer.rows * (2 * timesteps + lanes + 8)
            elif step.kind == "events":
                replayed += _cycles(network, connection, layer)
            else:
                stream += _cycles(network, connection, layer)
        found.append((deepest + 64, stream, replayed))
    return found


def _cycles(network: Network, connection: Connection, layer: LayerPlan) -> int:
    """Cycles of all events that a train can hold, one a neuron and time step."""
    source, timesteps = network.source(connection.source), sent_digits(network, connection.source)
    vertical, horizontal = landings(connection.geometry, source.shape, layer.shape, layer.spread)
    rows = int(vertical.passes.max()) * int(horizontal.passes.max()) * layer.groups
    return int(np.prod(source.shape)) * (timesteps + 1) * (rows + 2)
