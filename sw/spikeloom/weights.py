"""Rows of a core's weight memory: how many every connection takes, and which source channels share one."""

from .cost import by_name, listed_steps, reach, walked, weight_passes
from .digits import digits
from .network import Network
from .program import CorePlan, LayerPlan


def used_cells(layer: LayerPlan) -> int:
    """Cells that hold the channels of a position, where these have the whole grid."""
    return min(-(-layer.shape[0] // layer.width), layer.channel_cells)


def pack(layer: LayerPlan) -> int:
    """Source channels that share a row of weights, where a position's channels have the whole grid and leave room."""
    return layer.grid[0] * layer.grid[1] // used_cells(layer) if layer.spread == (1, 1) else 1


def weight_rows(network: Network, core: CorePlan) -> dict[str, int]:
    """Rows of the weight memory by connection, in the order in which they lie in it."""
    found = {}
    source = core.source
    for layer in core.layers:
        for step in listed_steps(network, source, layer.population):
            if step.connection is not None:
                found[step.connection] = _rows(network, core, layer, step.connection, step.kind)
        source = layer.population
    return found


def _rows(network: Network, core: CorePlan, layer: LayerPlan, name: str, kind: str) -> int:
    connection = by_name(network, name)
    if kind == "rows":
        return layer.groups * len(digits(connection, core.weight_bits, multiply=core.multiply)[0])
    source = walked(network, core, connection)
    passes = weight_passes(connection.geometry, source, layer.shape, layer.spread)
    return -(-source[0] // pack(layer)) * passes * reach(connection.geometry, source, layer)
