"""Proven bounds: from the actual weights, the interval and the width of every potential, for every possible input.

They are computed in float64: exact up to 2^53, far above the widest potential a network may have, and beyond that they
grow on instead of wrapping around, so that a network too wide is refused whatever its numbers are.
"""

from typing import TYPE_CHECKING

import numpy as np

from .geometry import Conv2d, Dense, Diagonal
from .neuron import Neuron

if TYPE_CHECKING:
    from .network import Connection, Network

Interval = tuple[np.ndarray, np.ndarray]


def signed_bits(low: int, high: int) -> int:
    """Bits of the smallest two's-complement integer that holds [low, high]."""
    return max((high if high >= 0 else ~high).bit_length(), (low if low >= 0 else ~low).bit_length()) + 1


def intervals(network: "Network") -> dict[str, Interval]:
    """As `potential_bounds`, float64; `Network.intervals` keeps them."""
    result = {}
    for population in network.populations:
        initial = population.neuron.initial
        low, high = np.minimum(initial.min(0), 0).astype(np.float64), np.maximum(initial.max(0), 0).astype(np.float64)
        for connection in network.incoming(population.name):
            least, largest = _contribution(network, connection)
            reached = slice(None)
            if isinstance(connection.geometry, Diagonal):
                reached = slice(connection.geometry.channel_offset, connection.geometry.channel_offset + len(least))
            low[reached] += least
            high[reached] += largest
        result[population.name] = low, high
    return result


def _contribution(network: "Network", connection: "Connection") -> Interval:
    """Least and largest contribution of a connection to one potential of each channel it reaches, float64.

    Positive and negative weights are summed apart; each term is weighted with the largest value of the source's
    train and the number of neurons in a pooling window. The interior of a convolution bounds its borders.
    """
    geometry, rows = connection.geometry, connection.weights.reshape(len(connection.weights), -1)
    window = int(np.prod(geometry.pool)) if isinstance(geometry, Dense | Conv2d) else 1
    code = network.largest_code(connection.source) * window << connection.shift
    least = np.minimum(rows, 0).sum(1, dtype=np.int64) * float(code)
    largest = np.maximum(rows, 0).sum(1, dtype=np.int64) * float(code)
    growth, timesteps = network.train(connection.source)
    if growth not in (1.0, 2.0):
        # potentials grow every time step, and so does one unit for each floor that rounds towards minus infinity
        powers = sum(growth**t for t in range(timesteps))
        least = np.floor(least * (powers / timesteps)) - np.ceil(powers)
        largest = np.ceil(largest * (powers / timesteps))
    return least, largest


def potential_bounds(network: "Network") -> dict[str, Interval]:
    """Least and largest accumulated potential of each population's channels: name -> (int64 [C], int64 [C]).

    Every partial sum lies between them too (with `initial` included), in whatever order the events come.
    A source with growth 1 + 2^-s lets its target's potential grow every time step: the bound grows with it.
    """
    return {name: (low.astype(np.int64), high.astype(np.int64)) for name, (low, high) in network.intervals.items()}


def potential_bits(network: "Network") -> dict[str, int]:
    """Proven width of every population's potentials in bits, which also holds the clamp's ceiling*theta."""
    result = {}
    for population in network.populations:
        low, high = network.intervals[population.name]
        neuron = population.neuron
        ceiling = int(neuron.theta.max()) * neuron.ceiling if isinstance(neuron, Neuron) else 0
        result[population.name] = signed_bits(int(low.min()), max(int(high.max()), ceiling))
    return result
