"""Rows of a core's weight memory: how many every connection takes, which source channels share one, for which lanes."""

import numpy as np

from ..geometry import Diagonal
from ..network import Connection, Network
from .digits import digits
from .extents import by_name, kept_landings, listed_steps, reach, walked, weight_passes
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


def used_lanes(network: Network, core: CorePlan) -> np.ndarray:
    """Lanes that some row of the weight memory has a weight for, bool [gy, gx, width]: the others' are all zero."""
    found = np.zeros((*core.grid, core.width), bool)
    source = core.source
    for layer in core.layers:
        for step in listed_steps(network, source, layer.population):
            if step.connection is not None:
                found |= _used(network, core, layer, by_name(network, step.connection), step.kind)
        source = layer.population
    return found


def _used(network: Network, core: CorePlan, layer: LayerPlan, connection: Connection, kind: str) -> np.ndarray:
    bank_y, bank_x, share = layer.cells
    reached = np.ones(layer.groups * layer.channels, bool)
    reached[layer.shape[0] :] = False
    if isinstance(connection.geometry, Diagonal):
        first = connection.geometry.channel_offset
        reached[:first] = reached[first + len(connection.weights) :] = False
    shares: np.ndarray = np.asarray(reached.reshape(layer.groups, layer.channel_cells, layer.width).any(0))
    if kind == "rows":  # added at the channels' own places
        return shares[np.maximum(share, 0)]
    source = walked(network, core, connection)
    vertical, horizontal = kept_landings(connection.geometry, source, layer.shape, layer.spread)
    banks: list[np.ndarray] = [np.asarray((axis.kernel >= 0).any(0)) for axis in (vertical, horizontal)]
    lanes = shares[np.maximum(share, 0)] & ((share >= 0) & banks[0][bank_y] & banks[1][bank_x])[..., None]
    if (together := min(pack(layer), source[0])) > 1:
        cells, flat = used_cells(layer), lanes.reshape(-1, core.width)
        flat[: together * cells] = np.tile(flat[:cells], (together, 1))
    return lanes
