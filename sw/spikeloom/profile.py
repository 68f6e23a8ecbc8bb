"""Where a network's events lie: counted on samples, in the rows and columns of what each connection hears."""

from dataclasses import replace

import numpy as np
import torch

from .encoding import samples_of
from .errors import InvalidData
from .geometry import Pair
from .golden import forward
from .golden.values import Activity
from .network import Connection, Network
from .neuron import Neuron
from .windows import Windows

SAMPLES = 1000  # more add little
Heard = tuple[str, Windows | None]  # trains that a connection hears: those of its source, max pooled or not
MOST_NUMBERS = 1 << 17  # rows and columns of all connections: a few megabytes of a file


def profiled(network: Network, x: np.ndarray) -> Network:
    """The network with the mean events of these samples: `activity` of its trains, `heard` of its connections.

    It computes what it did before; the cost model knows more. Connections with more rows and columns than a file
    should hold are left without.

    Parameters
    ----------
    network : Network
    x : samples as `spikeloom.encoding.encode` takes them; at most `SAMPLES` of them, at even distances, are run.

    Raises
    ------
    InvalidData
        No samples.
    NotBuilt
        As `spikeloom.golden.run`.
    """
    source = network.inputs[0]
    x = samples_of(source, x)
    if len(x) == 0:
        raise InvalidData("Data: must have at least one sample, not none")
    x = evenly(x, min(len(x), SAMPLES))
    growths = {source.name: source.growth}
    growths |= {
        item.name: network.train(item.name)[0] for item in network.populations if isinstance(item.neuron, Neuron)
    }
    sent = dict.fromkeys(growths, 0.0)
    maps = {_trains(item): np.zeros(_extents(network, item)) for item in network.connections}

    def take(_: slice, activities: dict[str, Activity]) -> tuple[dict[str, float], dict[Heard, np.ndarray]]:
        fired = {name: activities[name].spike_counts(growth) for name, growth in growths.items()}
        places = {}
        for name, windows in maps:
            events = fired[name] if windows is None else activities[name].pooled(windows).spike_counts(growths[name])
            places[name, windows] = events.sum((0, 1), dtype=torch.float64).numpy()
        return {name: float(counts.sum(dtype=torch.float64)) for name, counts in fired.items()}, places

    for fired, places in forward(network, x, take):
        for name, count in fired.items():
            sent[name] += count
        for heard, events in places.items():
            maps[heard] += events
    connections, left = [], MOST_NUMBERS
    for item in network.connections:
        left -= sum(_extents(network, item))
        mean = maps[_trains(item)] / len(x)
        known = tuple(mean.sum(1).tolist()), tuple(mean.sum(0).tolist())
        connections.append(replace(item, heard=known if left >= 0 else ((), ())))
    return replace(
        network,
        inputs=(replace(source, activity=sent[source.name] / len(x)),),
        populations=tuple(
            replace(item, activity=sent[item.name] / len(x)) if item.name in sent else item
            for item in network.populations
        ),
        connections=tuple(connections),
    )


def evenly(x: np.ndarray, count: int) -> np.ndarray:
    """So many samples at even distances, from the first to the last."""
    return x[np.linspace(0, len(x) - 1, count).round().astype(np.int64)]


def _trains(connection: Connection) -> Heard:
    """Which trains a connection hears: those of its source, max pooled or not."""
    return connection.source, connection.geometry.max_windows


def _extents(network: Network, connection: Connection) -> Pair:
    """Rows and columns of what a connection hears."""
    return connection.geometry.heard(network.source(connection.source).shape)[1:]
