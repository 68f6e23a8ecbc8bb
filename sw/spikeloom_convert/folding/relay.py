"""A population that repeats the network's input, for the layers that the input's own events cannot serve."""

from dataclasses import replace

import numpy as np
from spikeloom.geometry import Diagonal
from spikeloom.network import Connection, Network, Population
from spikeloom.neuron import Neuron

from ..float_network import spare

NAME = "relay"


def with_relay(network: Network) -> Network:
    """The same integers for every sample, from a network whose input is heard by its first population alone.

    Events of the input come in any order and once; gates keep only trains that they generate themselves. A relay is
    one: V = the code of its input, theta = 2^(T-1), so y = floor(V * 2^(T-1) / theta) = V, the input's train again.
    What else a code stands for, the zero of the input, lies in the offsets of those who hear it and stays there.

    Networks that need no relay (`needs_relay`), and synchronous ones, whose input is accumulated once, are returned as
    they are.
    """
    if not needs_relay(network):
        return network
    source = network.inputs[0]
    taken = {source.name, *(item.name for item in network.populations), *(item.name for item in network.connections)}
    name = spare(NAME, taken)
    one, zero = (np.full((1, source.shape[0]), value, np.int64) for value in (1, 0))
    neuron = Neuron(source.timesteps, 2.0, one << (source.timesteps - 1), zero, signed=source.signed, code=source.code)
    first = Connection(name, source.name, name, Diagonal(), np.ones(source.shape[0], np.int8), 2)
    others = (replace(item, source=name) if item.source == source.name else item for item in network.connections)
    notes = (*network.provenance.notes, f"'{name}' repeats the input for those who hear it late, twice or pooled")
    return replace(
        network,
        populations=(Population(name, source.shape, neuron, source.activity), *network.populations),
        connections=(first, *others),
        provenance=replace(network.provenance, notes=notes),
    )


def needs_relay(network: Network) -> bool:
    """Whether anything but one connection into the first population hears the input, or one that pools maxima."""
    if network.schedule != "two-phase":
        return False
    heard = [item for item in network.connections if item.source == network.inputs[0].name]
    alone = len(network.incoming(network.populations[0].name)) == 1
    return len(heard) > 1 or not alone or heard[0].geometry.max_windows is not None
