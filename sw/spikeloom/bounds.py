"""Proven bounds: from the actual weights, the interval and the width of every potential, for every possible input.

They are computed in float64: exact up to 2^53, far above the widest potential a network may have, and beyond that they
grow on instead of wrapping around, so that a network too wide is refused whatever its numbers are.
"""

from typing import TYPE_CHECKING

import numpy as np

from .geometry import Diagonal
from .neuron import Neuron, Silent, growth_shift, partial_sums

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
        low, high = per_step(network, population.name, partial=partial)
        if network.schedule == "synchronous":
            result[population.name] = _every_step(population.neuron, network.timesteps, low, high)
            continue
        initial = population.neuron.initial
        result[population.name] = low + np.minimum(initial.min(0), 0), high + np.maximum(initial.max(0), 0)
    return result


def per_step(network: "Network", name: str, *, partial: bool = False) -> Interval:
    """Least and largest sum of what a population hears, float64 [C]: in a sample, or a synchronous network's time step.

    `partial`: of any part of the events, see `partial_bounds`.
    """
    channels = network.source(name).shape[0]
    low, high = np.zeros(channels), np.zeros(channels)
    for connection in network.incoming(name):
        least, largest = _contribution(network, connection, partial=partial)
        reached = slice(None)
        if isinstance(connection.geometry, Diagonal):
            reached = slice(connection.geometry.channel_offset, connection.geometry.channel_offset + len(least))
        low[reached] += least
        high[reached] += largest
    return low, high


def _every_step(neuron: Neuron | Silent, timesteps: int, least: np.ndarray, largest: np.ndarray) -> Interval:
    """Least and largest potential on the way through a synchronous sample, of any part of its events, float64 [C].

    `least`, `largest`: sum of what is heard in a time step.
    """
    low, high = neuron.initial.min(0).astype(np.float64), neuron.initial.max(0).astype(np.float64)
    drive = np.zeros((1, len(low))) if neuron.drive is None else neuron.drive
    bottom, top = low, high
    for _ in range(timesteps):
        low, high = grown(low, neuron.growth), grown(high, neuron.growth)
        bottom = np.minimum(bottom, low + np.minimum(drive.min(0), 0) + least)
        top = np.maximum(top, high + np.maximum(drive.max(0), 0) + largest)
        low, high = low + drive.min(0) + least, high + drive.max(0) + largest
        if isinstance(neuron, Neuron):
            low, high = fired(neuron, low, high)
            bottom, top = np.minimum(bottom, low), np.maximum(top, high)
    return bottom, top


def _contribution(network: "Network", connection: "Connection", *, partial: bool) -> Interval:
    """Least and largest contribution of a connection to one potential of each channel it reaches, float64.

    Positive and negative weights are summed apart; each term is weighted with the largest value of the source's
    train and the number of neurons that are summed in a pooling window. The interior of a convolution bounds its
    borders. `partial`: of any part of the events, see `partial_bounds`.
    """
    geometry, rows = connection.geometry, connection.weights.reshape(len(connection.weights), -1)
    sender, (growth, timesteps) = network.sender(connection.source), network.train(connection.source)
    low, high = network.least_code(connection.source), network.largest_code(connection.source)
    if partial and sender.code == "naf":
        low, high = partial_sums(sender.timesteps)
    if growth not in (1.0, 2.0):
        low, high = low // timesteps, high // timesteps  # of one time step
    least_code, largest_code = (float(code * geometry.summed << connection.shift) for code in (low, high))
    negative, positive = np.minimum(rows, 0).sum(1, dtype=np.int64), np.maximum(rows, 0).sum(1, dtype=np.int64)
    least, largest = negative * largest_code + positive * least_code, positive * largest_code + negative * least_code
    if growth in (1.0, 2.0):
        return least, largest
    bottom, top = least, largest
    for _ in range(timesteps - 1):  # growing and leaking keep the order of potentials: the extremes stay the extremes
        bottom, top = grown(bottom, growth) + least, grown(top, growth) + largest
    return bottom, top


def grown(potential: np.ndarray, growth: float) -> np.ndarray:
    """One time step of growth, float64: V + (V >> s) or V - (V >> s), exact below 2^53 and close to it above."""
    shift = growth_shift(growth)
    if shift is None:
        return potential
    part = np.floor(potential * 2.0**-shift)
    return potential + part if growth > 1 else potential - part


def generated(neuron: Neuron) -> Interval:
    """Least and largest potential of each channel on the way through the generate phase, float64, clamp included.

    Neurons that divide never leave the clamp. Others may: where the reset is less than the potential grows by, or more
    than the threshold.
    """
    most = (neuron.ceiling * neuron.theta).max(0).astype(np.float64)
    low, high = -most if neuron.signed else np.zeros_like(most), most
    bottom, top = low, high
    for step in range(0 if neuron.divides else neuron.timesteps):
        if step:
            low, high = grown(low, neuron.growth), grown(high, neuron.growth)
            bottom, top = np.minimum(bottom, low), np.maximum(top, high)
        low, high = fired(neuron, low, high)
        bottom, top = np.minimum(bottom, low), np.maximum(top, high)
    return bottom, top


def fired(neuron: Neuron, low: np.ndarray, high: np.ndarray) -> Interval:
    """What spikes and silence make of potentials in [low, high]: the interval that holds all of it, float64 [C]."""
    positive, negative, amount = neuron.thresholds
    if neuron.step_gamma is not None:
        positive = positive + 1  # graded spikes are sent above the threshold only
    soft = neuron.reset_kind == "soft"
    above = high >= positive
    bottom = np.where(above, np.maximum(low, positive) - amount if soft else 0, np.inf)
    top = np.where(above, high - amount if soft else 0, -np.inf)
    least_silent, most_silent = low, np.minimum(high, positive - 1)
    if negative is not None:
        below = low <= negative
        added = neuron.negative_amount
        bottom = np.minimum(bottom, np.where(below, low + added if soft else 0, np.inf))
        top = np.maximum(top, np.where(below, np.minimum(high, negative) + added if soft else 0, -np.inf))
        least_silent = np.maximum(low, negative + 1)
    return np.minimum(bottom, least_silent).min(0), np.maximum(top, most_silent).max(0)


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
    """Proven width of every population's potentials in bits, which also holds what generation makes of them.

    That is the clamp's ceiling*theta, and more for neurons that do not divide; in a synchronous network thresholds,
    the amount of a reset, and what a graded spike is divided from.

    It holds the accumulated potential; partial sums of minimal-weight code may wrap around in it on the way.
    """
    result, synchronous = {}, network.schedule == "synchronous"
    for population in network.populations:
        low, high = network.intervals[population.name]
        if isinstance(population.neuron, Neuron):
            bottom, top = _compared(population.neuron, high) if synchronous else generated(population.neuron)
            low, high = np.minimum(low, bottom), np.maximum(high, top)
        result[population.name] = signed_bits(int(low.min()), int(high.max()))
    return result


def _compared(neuron: Neuron, high: np.ndarray) -> Interval:
    """Least and largest of what the potentials of a synchronous neuron, up to `high`, meet in a time step."""
    positive, negative, amount = neuron.thresholds
    constants = [positive, amount, *([] if negative is None else [negative, neuron.negative_amount])]
    if neuron.step_gamma is not None:
        constants = [positive, 2 * neuron.theta, (high - positive + neuron.step_gamma)]
    return np.minimum.reduce([item.min(0) for item in constants]), np.maximum.reduce(
        [item.max(0) for item in constants]
    )
