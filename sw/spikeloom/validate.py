"""The checks every `Network` passes when it is made: all violations are listed in one `InvalidNetwork`."""

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from .errors import InvalidNetwork, listed
from .neuron import Neuron, Silent, growth_shift

if TYPE_CHECKING:
    from .network import Connection, Input, Network, Population

MAX_TIMESTEPS = 16
WEIGHT_BITS = range(2, 9)
MAX_POTENTIAL_BITS = 48
MAX_NEURONS = 1 << 24
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SCHEDULES = ("two-phase", "synchronous")


def validate(network: "Network") -> None:
    """Raise `InvalidNetwork` listing everything that is wrong with the network."""
    found: list[str] = []
    names = [item.name for item in (*network.inputs, *network.populations)]
    for name in (network.name, *names, *(item.name for item in network.connections)):
        if not isinstance(name, str) or not NAME.fullmatch(name):
            found.append(f"name {name!r} must match {NAME.pattern}")
    if len(set(names)) != len(names):
        found.append("names of inputs and populations must differ from each other")
    if len({item.name for item in network.connections}) != len(network.connections):
        found.append("names of connections must differ from each other")
    if network.schedule not in SCHEDULES:
        found.append(f"schedule must be one of {SCHEDULES}, not {network.schedule!r}")
    if len(network.inputs) != 1:
        found.append(f"a network must have one input, not {len(network.inputs)}")
    for source in network.inputs:
        found += [f"input '{source.name}': {what}" for what in _input(source)]
    for population in network.populations:
        found += [f"population '{population.name}': {what}" for what in _population(population)]
    if not found:
        found += _wiring(network)
    if not found:
        for connection in network.connections:
            found += [f"connection '{connection.name}': {what}" for what in _connection(network, connection)]
    if not found:
        found += _widths(network)
    if found:
        raise InvalidNetwork(f"Network '{network.name}': {listed(found)}")


def _shape(shape: object) -> list[str]:
    if (
        not isinstance(shape, tuple)
        or len(shape) != 3
        or not all(type(extent) is int and extent >= 1 for extent in shape)
        or math.prod(shape) > MAX_NEURONS
    ):
        return [f"shape must be three positive integers of at most {MAX_NEURONS} neurons together, not {shape!r}"]
    return []


def _timesteps(timesteps: object) -> list[str]:
    if type(timesteps) is not int or not 1 <= timesteps <= MAX_TIMESTEPS:
        return [f"timesteps must be an integer in 1..{MAX_TIMESTEPS}, not {timesteps!r}"]
    return []


def _input(source: "Input") -> list[str]:
    found = _shape(source.shape) + _timesteps(source.timesteps)
    if not all(map(math.isfinite, (source.scale, source.zero, source.low, source.high, source.activity))):
        found.append("scale, zero, low, high and activity must be finite")
    elif source.scale <= 0 or source.high <= source.low:
        found.append("scale must be positive and high above low")
    return found


def _vector(name: str, value: object, channels: int, *, least: int | None = None) -> list[str]:
    if not isinstance(value, np.ndarray) or value.dtype != np.int64 or value.ndim != 2 or value.shape[1] != channels:
        return [f"{name} must be int64 [border classes, {channels} channels]"]
    if least is not None and (value < least).any():
        return [f"{name} must be at least {least}, not {int(value.min())} ({int((value < least).sum())} channels)"]
    if (np.abs(value) >= 1 << (MAX_POTENTIAL_BITS - 1)).any():
        return [f"{name} must fit {MAX_POTENTIAL_BITS} bits"]
    return []


def _population(population: "Population") -> list[str]:
    found = _shape(population.shape)
    if found:
        return found
    neuron, channels = population.neuron, population.shape[0]
    found += _vector("initial", neuron.initial, channels)
    if isinstance(neuron, Silent):
        return found
    found += _timesteps(neuron.timesteps) + _vector("theta", neuron.theta, channels, least=1)
    try:
        growth_shift(neuron.growth)
    except ValueError as error:
        found.append(str(error))
    for name in ("fire_pos", "fire_neg", "reset", "drive", "step_gamma"):
        if getattr(neuron, name) is not None:
            found += _vector(name, getattr(neuron, name), channels)
    if neuron.reset_kind not in ("soft", "hard"):
        found.append(f"reset_kind must be soft or hard, not {neuron.reset_kind!r}")
    if neuron.code not in ("plain", "naf"):
        found.append(f"code must be plain or naf, not {neuron.code!r}")
    return found


def _wiring(network: "Network") -> list[str]:
    found = []
    seen = {source.name for source in network.inputs}
    readouts = {readout.population for readout in network.readouts}
    silent = {item.name for item in network.populations if isinstance(item.neuron, Silent)}
    if not network.readouts or readouts != silent or len(readouts) != len(network.readouts):
        found.append(f"readouts {sorted(readouts)} must name every silent population {sorted(silent)} once, at least one")
    for readout in network.readouts:
        if not math.isfinite(readout.scale) or readout.scale <= 0:
            found.append(f"readout '{readout.population}': scale must be positive and finite, not {readout.scale}")
    for population in network.populations:
        incoming = network.incoming(population.name)
        if not incoming:
            found.append(f"population '{population.name}': must have an incoming connection")
        for connection in incoming:
            if connection.source not in seen:
                found.append(
                    f"connection '{connection.name}': source '{connection.source}' must be an input or an earlier population"
                )
            elif connection.source in silent:
                found.append(f"connection '{connection.name}': source '{connection.source}' must fire, it is a readout")
        seen.add(population.name)
    for connection in network.connections:
        if connection.target not in {item.name for item in network.populations}:
            found.append(f"connection '{connection.name}': target '{connection.target}' must be a population")
    return found


def _connection(network: "Network", connection: "Connection") -> list[str]:
    source, target = network.source(connection.source), network.source(connection.target)
    found = connection.geometry.violations(source.shape, target.shape)
    if found:
        return found
    weights, bits = connection.weights, connection.weight_bits
    if type(bits) is not int or bits not in WEIGHT_BITS:
        return [f"weight_bits must be in {WEIGHT_BITS.start}..{WEIGHT_BITS.stop - 1}, not {bits!r}"]
    if type(connection.shift) is not int or not 0 <= connection.shift <= 15:
        return [f"shift must be in 0..15, not {connection.shift!r}"]
    expected = connection.geometry.weight_shape(source.shape, target.shape)
    if not isinstance(weights, np.ndarray) or weights.dtype != np.int8 or weights.shape != expected:
        return [f"weights must be int8 {expected}, not {getattr(weights, 'dtype', type(weights))} {np.shape(weights)}"]
    over = np.abs(weights.astype(np.int16)) >= 1 << (bits - 1)
    if over.any():
        return [f"weights must be symmetric {bits}-bit integers; {int(over.sum())} are beyond +-{(1 << (bits - 1)) - 1}"]
    return []


def _widths(network: "Network") -> list[str]:
    from .bounds import potential_bits

    return [
        f"population '{name}': potentials must fit {MAX_POTENTIAL_BITS} bits, not {bits}"
        for name, bits in potential_bits(network).items()
        if bits > MAX_POTENTIAL_BITS
    ]
