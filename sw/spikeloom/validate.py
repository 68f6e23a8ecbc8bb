"""The rules every `Network` keeps, checked when it is made: all violations are listed in one `InvalidNetwork`."""

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from .bounds import potential_bits
from .checks import (
    MAX_EVENTS,
    MAX_POTENTIAL_BITS,
    input_violations,
    is_events,
    is_finite,
    is_integer,
    population_violations,
    provenance_violations,
    schedule_violations,
)
from .errors import InvalidNetwork, listed, shown
from .geometry import GEOMETRIES
from .neuron import Neuron, Silent

if TYPE_CHECKING:
    from .network import Connection, Network

MAX_SHIFT = 15
WEIGHT_BITS = range(2, 9)
MAX_PARTS = 1024
MAX_WEIGHTS = 1 << 27
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def validate(network: "Network") -> None:
    """Raise `InvalidNetwork` listing everything that is wrong with the network."""
    # each stage relies on the ones before it: kinds, names, values by themselves, wiring, synapses, widths
    stages = (_kinds, _names, _values, _wiring, _synapses, _borders, _widths)
    found = next(filter(None, (stage(network) for stage in stages)), None)
    if found:
        raise InvalidNetwork(f"Network {shown(network.name)}: {listed(found)}")


def _kinds(network: "Network") -> list[str]:
    from .network import Connection, Input, Population, Provenance, Readout

    kinds = {"inputs": Input, "populations": Population, "connections": Connection, "readouts": Readout}
    found = []
    for name, kind in kinds.items():
        parts = getattr(network, name)
        if not isinstance(parts, tuple) or not all(isinstance(part, kind) for part in parts):
            found.append(f"{name} must be a tuple of {kind.__name__}, not {shown(parts)}")
        elif len(parts) > MAX_PARTS:
            found.append(f"{name} must be at most {MAX_PARTS}, not {len(parts)}")
    if not isinstance(network.provenance, Provenance):
        found.append(f"provenance must be a Provenance, not {shown(network.provenance)}")
    return found


def _names(network: "Network") -> list[str]:
    trains = [item.name for item in network.inputs] + [item.name for item in network.populations]
    synapses = [item.name for item in network.connections]
    ends = [name for item in network.connections for name in (item.source, item.target)]
    found = [
        f"name {shown(name)} must match {NAME.pattern}"
        for name in (network.name, *trains, *synapses, *ends, *(item.population for item in network.readouts))
        if not isinstance(name, str) or not NAME.fullmatch(name)
    ]
    if found:
        return found
    if len(set(trains)) != len(trains):
        found.append("names of inputs and populations must differ from each other")
    if len(set(synapses)) != len(synapses):
        found.append("names of connections must differ from each other")
    return found


def _values(network: "Network") -> list[str]:
    found = provenance_violations(network.provenance) + schedule_violations(network.schedule)
    if len(network.inputs) != 1:
        found.append(f"a network must have one input, not {len(network.inputs)}")
    for source in network.inputs:
        found += [f"input '{source.name}': {what}" for what in input_violations(source)]
    synchronous = network.schedule == "synchronous"
    for population in network.populations:
        wrong = population_violations(population, synchronous=synchronous)
        found += [f"population '{population.name}': {what}" for what in wrong]
    for readout in network.readouts:
        if not is_finite(readout.scale) or readout.scale <= 0:
            scale = shown(readout.scale)
            found.append(f"readout '{readout.population}': scale must be positive and finite, not {scale}")
    return found


def _wiring(network: "Network") -> list[str]:
    found = []
    steps = {item.neuron.timesteps for item in network.populations if isinstance(item.neuron, Neuron)}
    if network.schedule == "synchronous" and len(steps) != 1:
        found.append(
            f"a synchronous network must have neurons that fire, with one number of timesteps, not {sorted(steps)}"
        )
    found += _sequences(network, steps)
    seen = {source.name for source in network.inputs}
    names = {item.name for item in network.populations}
    readouts = {readout.population for readout in network.readouts}
    silent = {item.name for item in network.populations if isinstance(item.neuron, Silent)}
    if not network.readouts or readouts != silent or len(readouts) != len(network.readouts):
        expected = f"every silent population {sorted(silent)} once, at least one"
        found.append(f"readouts must name {expected}, not {sorted(readouts)}")
    for population in network.populations:
        incoming = network.incoming(population.name)
        if not incoming:
            found.append(f"population '{population.name}': must have an incoming connection")
        for connection in incoming:
            who = f"connection '{connection.name}': source '{connection.source}'"
            if connection.source not in seen and (network.schedule != "synchronous" or connection.source not in names):
                earlier = "a population" if network.schedule == "synchronous" else "an earlier population"
                found.append(f"{who} must be an input or {earlier}")
            elif connection.source in silent:
                found.append(f"{who} must fire, it is a readout")
        if not found and incoming and all(item.source not in seen for item in incoming):
            found.append(f"population '{population.name}': must have an incoming connection that is not recurrent")
        seen.add(population.name)
    for connection in network.connections:
        if connection.target not in names:
            found.append(f"connection '{connection.name}': target '{connection.target}' must be a population")
    return found


def _sequences(network: "Network", steps: set[int]) -> list[str]:
    """What is wrong with inputs of a value for every time step, of which there are `steps`."""
    found = []
    for source in network.inputs:
        if source.sequence and network.schedule != "synchronous":
            found.append(f"input '{source.name}': sequence must be in a synchronous network, not in a two-phase one")
        elif source.sequence and len(steps) == 1 and source.sequence not in steps:
            expected = f"0 or the network's time steps, {min(steps)}"
            found.append(f"input '{source.name}': sequence must be {expected}, not {source.sequence}")
    return found


def _synapses(network: "Network") -> list[str]:
    total = sum(getattr(connection.weights, "size", 0) for connection in network.connections)
    if total > MAX_WEIGHTS:
        return [f"connections must have at most {MAX_WEIGHTS} weights together, not {total}"]
    return [
        f"connection '{connection.name}': {what}"
        for connection in network.connections
        for what in _connection(network, connection)
    ]


def _connection(network: "Network", connection: "Connection") -> list[str]:
    geometry, weights, bits = connection.geometry, connection.weights, connection.weight_bits
    if not isinstance(geometry, tuple(GEOMETRIES.values())):
        return [f"geometry must be one of {', '.join(GEOMETRIES)}, not {shown(geometry)}"]
    source, target = network.source(connection.source).shape, network.source(connection.target).shape
    found = geometry.violations(source, target)
    if not is_integer(bits, WEIGHT_BITS.start, WEIGHT_BITS.stop - 1):
        found.append(f"weight_bits must be in {WEIGHT_BITS.start}..{WEIGHT_BITS.stop - 1}, not {shown(bits)}")
    if not is_integer(connection.shift, 0, MAX_SHIFT):
        found.append(f"shift must be in 0..{MAX_SHIFT}, not {shown(connection.shift)}")
    if found:
        return found
    if found := _heard(connection.heard, geometry.heard(source)[1:]):
        return found
    expected, limit = geometry.weight_shape(source, target), (1 << (bits - 1)) - 1
    if not isinstance(weights, np.ndarray):
        return [f"weights must be int8 {expected}, not {shown(weights)}"]
    if weights.dtype != np.int8 or weights.shape != expected:
        return [f"weights must be int8 {expected}, not {weights.dtype} {weights.shape}"]
    if weights.min() < -limit or weights.max() > limit:
        over = int(((weights < -limit) | (weights > limit)).sum())
        return [f"weights must be symmetric {bits}-bit integers; {over} are beyond +-{limit}"]
    return []


def _heard(heard: object, extents: tuple[int, int]) -> list[str]:
    """What is wrong with the mean events by row and by column of a source whose rows and columns are that many."""
    if not isinstance(heard, tuple) or len(heard) != 2 or not all(isinstance(part, tuple) for part in heard):
        return [f"heard must be a tuple of numbers by row and one by column, not {shown(heard)}"]
    if any(heard) and (counts := tuple(map(len, heard))) != extents:
        return [f"heard must be for {extents} rows and columns or empty, not for {counts}"]
    wrong = [number for part in heard for number in part if not is_events(number)]
    if wrong:
        return [f"heard must be numbers in 0..{MAX_EVENTS}, not {shown(wrong[0])} ({len(wrong)} of them)"]
    by_row, by_column = map(sum, heard)
    if not math.isclose(by_row, by_column, rel_tol=1e-6):
        return [f"heard must be as many events by row as by column, not {by_row:g} and {by_column:g}"]
    return []


def _borders(network: "Network") -> list[str]:
    found = []
    for population in network.populations:
        rows = max(len(vector) for vector in vars(population.neuron).values() if isinstance(vector, np.ndarray))
        if rows > 1:
            vertical, horizontal = (int(classes.max()) + 1 for classes in network.border_classes(population.name))
            if rows != vertical * horizontal:
                expected = f"1 or {vertical}x{horizontal}, as its connections pad"
                found.append(f"population '{population.name}': border classes must be {expected}, not {rows}")
    return found


def _widths(network: "Network") -> list[str]:
    return [
        f"population '{name}': potentials must fit {MAX_POTENTIAL_BITS} bits, not {bits}"
        for name, bits in potential_bits(network).items()
        if bits > MAX_POTENTIAL_BITS
    ]
