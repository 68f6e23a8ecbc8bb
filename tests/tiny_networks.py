"""A tiny network and others made from it by changing a field here and there, for tests of what is refused."""

import dataclasses
from typing import Any

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Connection, Conv2d, Network


def tiny() -> Network:
    """Input (1, 4, 4) -> hidden (2, 2, 2) by convolution -> readout (3, 1, 1)."""
    rng = np.random.default_rng(0)
    return RandomNetwork(rng, (1, 4, 4), name="tiny").conv(2, Conv2d((3, 3))).readout(3)


def changed(network: Network, part: str, number: int, **values: Any) -> Network:
    """The network with some fields of one of its parts changed."""
    parts = list(getattr(network, part))
    parts[number] = dataclasses.replace(parts[number], **values)
    return dataclasses.replace(network, **{part: tuple(parts)})


def with_neuron(network: Network, **values: Any) -> Network:
    neuron = network.populations[0].neuron
    return changed(network, "populations", 0, neuron=dataclasses.replace(neuron, **values))


def synchronous(**values: Any) -> Network:
    network = tiny()
    neuron = dataclasses.replace(network.populations[0].neuron, **values)  # type: ignore[arg-type]
    hidden = dataclasses.replace(network.populations[0], neuron=neuron)
    return dataclasses.replace(network, schedule="synchronous", populations=(hidden, network.populations[1]))


def beside(network: Network, **values: Any) -> Network:
    """The network with a second hidden population beside the first, which differs in some fields of the neuron."""
    hidden, link = network.populations[0], network.connections[0]
    neuron = dataclasses.replace(hidden.neuron, **values)  # type: ignore[arg-type]
    return dataclasses.replace(
        network,
        populations=(hidden, dataclasses.replace(hidden, name="l2", neuron=neuron), *network.populations[1:]),
        connections=(*network.connections, dataclasses.replace(link, name="to_l2", target="l2")),
    )


def recurrent(network: Network, source: str = "l1") -> Network:
    """The network with one connection more, from a population to the hidden one, as if from that itself."""
    channels = network.source("l1").shape[0]
    back = Connection("back", source, "l1", Conv2d((1, 1)), np.ones((channels, channels, 1, 1), np.int8), 2)
    return dataclasses.replace(network, connections=(*network.connections, back))


def without(network: Network, name: str) -> Network:
    """The network without the connection of that name."""
    return dataclasses.replace(network, connections=tuple(item for item in network.connections if item.name != name))


def vector(*values: int) -> np.ndarray:
    return np.array([values], np.int64)
