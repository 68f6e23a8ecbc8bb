"""Rows of a core's weight memory: how many every connection takes, and which source channels share one."""

from .cost import by_name, reach
from .digits import digits
from .geometry import Dense
from .landing import landings
from .network import Network
from .program import CorePlan, LayerPlan, steps


def packed(network: Network, layer: LayerPlan) -> bool:
    """Whether the cells of a weight row hold the weights of neighbouring source channels.

    They do where one cell alone has potentials: slot m of row c div cells belongs to source channel c, m = c mod cells.
    """
    geometries = [item.geometry for item in network.incoming(layer.population)]
    alone = layer.shape[1:] == (1, 1) and layer.shape[0] <= layer.width
    return alone and layer.spread == layer.grid != (1, 1) and all(isinstance(item, Dense) for item in geometries)


def weight_rows(network: Network, core: CorePlan) -> dict[str, int]:
    """Rows of the weight memory by connection, in the order in which they lie in it."""
    found = {}
    source = core.source
    for layer in core.layers:
        for step in steps(network, source, layer.population):
            if step.connection is not None:
                found[step.connection] = _rows(network, core, layer, step.connection, step.kind)
        source = layer.population
    return found


def _rows(network: Network, core: CorePlan, layer: LayerPlan, name: str, kind: str) -> int:
    connection = by_name(network, name)
    if kind == "rows":
        return layer.groups * len(digits(connection, core.weight_bits)[0])
    source = network.source(connection.source).shape
    vertical, horizontal = landings(connection.geometry, source, layer.shape, layer.spread)
    channels = -(-source[0] // (core.grid[0] * core.grid[1])) if packed(network, layer) else source[0]
    positions = len(vertical.kernel) * len(horizontal.kernel)
    return channels * positions * reach(connection.geometry, source, layer)
