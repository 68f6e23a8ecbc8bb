"""Proven bounds: from the actual weights, the interval and the width of every potential, for every possible input."""

from typing import TYPE_CHECKING

import numpy as np

from .geometry import Conv2d, Dense
from .neuron import Neuron

if TYPE_CHECKING:
    from .network import Connection, Network


def signed_bits(low: int, high: int) -> int:
    """Bits of the smallest two's-complement integer that holds [low, high]."""
    return max((high if high >= 0 else ~high).bit_length(), (low if low >= 0 else ~low).bit_length()) + 1


def _connection_bounds(network: "Network", connection: "Connection") -> tuple[np.ndarray, np.ndarray]:
    """Least and largest contribution of a connection to one potential of each target channel, int64 [O] each.

    Positive and negative weights are summed apart; each term is weighted with the largest value of the source's
    train and the number of neurons in a pooling window. The interior of a convolution bounds its borders.
    """
    geometry, weights = connection.geometry, connection.weights.astype(np.int64)
    window = int(np.prod(geometry.pool)) if isinstance(geometry, Dense | Conv2d) else 1
    largest = network.largest_code(connection.source) * window << connection.shift
    rows = weights.reshape(len(weights), -1)
    return np.minimum(rows, 0).sum(1) * largest, np.maximum(rows, 0).sum(1) * largest


def potential_bounds(network: "Network") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Least and largest accumulated potential of each population's channels: name -> (int64 [C], int64 [C]).

    Every partial sum lies between them too (with `initial` included), in whatever order the events come.
    A source with growth 1 + 2^-s lets its target's potential grow every time step: the bound grows with it.
    """
    result = {}
    for population in network.populations:
        initial = population.neuron.initial
        low, high = np.minimum(initial.min(0), 0), np.maximum(initial.max(0), 0)
        for connection in network.incoming(population.name):
            least, largest = _connection_bounds(network, connection)
            if (growth := _fractional_growth(network, connection.source)) is not None:
                k, steps = growth
                # one unit for each floor that rounds towards minus infinity, grown like the rest
                factor = sum(k**t for t in range(steps)) / steps
                least = np.floor(least * factor).astype(np.int64) - steps * int(np.ceil(k**steps))
                largest = np.ceil(largest * factor).astype(np.int64)
            low, high = low + least, high + largest
        result[population.name] = low, high
    return result


def _fractional_growth(network: "Network", name: str) -> tuple[float, int] | None:
    neuron = getattr(network.source(name), "neuron", None)
    if isinstance(neuron, Neuron) and neuron.growth not in (1.0, 2.0):
        return neuron.growth, neuron.timesteps
    return None


def potential_bits(network: "Network") -> dict[str, int]:
    """Proven width of every population's potentials in bits, which also holds the clamp's ceiling*theta."""
    result = {}
    bounds = potential_bounds(network)
    for population in network.populations:
        low, high = bounds[population.name]
        neuron = population.neuron
        ceiling = int(neuron.theta.max()) * neuron.ceiling if isinstance(neuron, Neuron) else 0
        result[population.name] = signed_bits(int(low.min()), max(int(high.max()), ceiling))
    return result
