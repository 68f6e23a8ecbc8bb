"""Proven bounds: from the actual weights, the interval and the width of every potential, for every possible input.

They are computed in float64: exact up to 2^53, far above the widest potential a network may have, and beyond that they
grow on instead of wrapping around, so that a network too wide is refused whatever its numbers are.
"""

from typing import TYPE_CHECKING

import numpy as np

from .geometry import Conv2d, Dense, Diagonal
from .neuron import Neuron, partial_sums

if TYPE_CHECKING:
    from .network import Connection, Network

Interval = tuple[np.ndarray, np.ndarray]


def signed_bits(low: int, high: int) -> int:
    """Bits of the smallest two's-complement integer that holds [low, high]."""
    return max((high if high >= 0 else ~high).bit_length(), (low if low >= 0 else ~low).bit_length()) + 1


def intervals(network: "Network", *, partial: bool = False) -> dict[str, Interval]:
    """As `potential_bounds`, or as `partial_bounds`, float64; `Network.intervals` keeps the former."""
    result = {}
    for population in network.populations:
        initial = population.neuron.initial
        low, high = np.minimum(initial.min(0), 0).astype(np.float64), np.maximum(initial.max(0), 0).astype(np.float64)
        for connection in network.incoming(population.name):
            least, largest = _contribution(network, connection, partial=partial)
            reached = slice(None)
            if isinstance(connection.geometry, Diagonal):
                reached = slice(connection.geometry.channel_offset, connection.geometry.channel_offset + len(least))
            low[reached] += least
            high[reached] += largest
        result[population.name] = low, high
    return result


def _contribution(network: "Network", connection: "Connection", *, partial: bool) -> Interval:
    """Least and largest contribution of a connection to one potential of each channel it reaches, float64.

    Positive and negative weights are summed apart; each term is weighted with the largest value of the source's
    train and the number of neurons in a pooling window. The interior of a convolution bounds its borders.
    `partial`: of any part of the events, see `partial_bounds`.
    """
    geometry, rows = connection.geometry, connection.weights.reshape(len(connection.weights), -1)
    window = int(np.prod(geometry.pool)) if isinstance(geometry, Dense | Conv2d) else 1
    sender, (growth, timesteps) = network.sender(connection.source), network.train(connection.source)
    low, high = 0, network.largest_code(connection.source)
    if partial and growth == 2.0:
        low, high = partial_sums(sender.timesteps, sender.code)
    least_code, largest_code = (float(code * window << connection.shift) for code in (low, high))
    negative, positive = np.minimum(rows, 0).sum(1, dtype=np.int64), np.maximum(rows, 0).sum(1, dtype=np.int64)
    least, largest = negative * largest_code + positive * least_code, positive * largest_code + negative * least_code
    if growth not in (1.0, 2.0):
        # potentials grow every time step, and so does one unit for each floor that rounds towards minus infinity
        powers = sum(growth**t for t in range(timesteps))
        least = np.floor(least * (powers / timesteps)) - np.ceil(powers)
        largest = np.ceil(largest * (powers / timesteps))
    return least, largest


def potential_bounds(network: "Network") -> dict[str, Interval]:
    """Least and largest accumulated potential of each population's channels: name -> (int64 [C], int64 [C]).

    Every partial sum lies between them too (with `initial` included), in whatever order the events come, unless a
    source sends minimal-weight code: then `partial_bounds` holds it.
    A source with growth 1 + 2^-s lets its target's potential grow every time step: the bound grows with it.
    """
    return _integers(network.intervals)


def partial_bounds(network: "Network") -> dict[str, Interval]:
    """As `potential_bounds`, for the sum of any part of the events of a sample, in whatever order they come.

    Wider only where a source sends minimal-weight code, whose digits of one sign may all come first. Potentials need
    no more bits for that: they are sums, which may wrap around on the way where the accumulated potential fits.
    """
    return _integers(intervals(network, partial=True))


def _integers(bounds: dict[str, Interval]) -> dict[str, Interval]:
    return {name: (low.astype(np.int64), high.astype(np.int64)) for name, (low, high) in bounds.items()}


def potential_bits(network: "Network") -> dict[str, int]:
    """Proven width of every population's potentials in bits, which also holds the clamp's ceiling*theta.

    It holds the accumulated potential; partial sums of minimal-weight code may wrap around in it on the way.
    """
    result = {}
    for population in network.populations:
        low, high = network.intervals[population.name]
        neuron = population.neuron
        ceiling = int(neuron.theta.max()) * neuron.ceiling if isinstance(neuron, Neuron) else 0
        result[population.name] = signed_bits(int(low.min()), max(int(high.max()), ceiling))
    return result
