"""Seeded random synchronous networks with recurrent connections and sequences, for tests of several rooms."""

from dataclasses import replace

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Connection, Dense, Network

GROWTHS = (0.0, 0.5, 0.75, 1.0)


def random_recurrent_network(
    rng: np.random.Generator,
    *,
    layers: int | None = None,
    backward: tuple[int, ...] | None = None,
    sequence: bool | None = None,
    signed: bool = True,
) -> Network:
    """A random tiny network of dense layers, named recurrent.

    Parameters
    ----------
    rng : source of all randomness.
    layers : number of firing populations (default: 1 to 3).
    backward : how far back each recurrent connection reaches (default: 0 to 2 connections, to the layer itself or to
        any before it).
    sequence : the input has a value for every time step (default: mostly).
    signed : neurons may send negative spikes.
    """
    count = int(rng.integers(1, 4)) if layers is None else layers
    steps = int(rng.integers(1, 8))
    network = RandomNetwork(
        rng, (int(rng.integers(1, 6)), 1, 1), int(rng.integers(1, 9)), "recurrent", schedule="synchronous"
    )
    for _ in range(count):
        kind = str(rng.choice(["soft", "soft", "hard"]))
        network.dense(
            int(rng.integers(1, 7)),
            timesteps=steps,
            growth=float(rng.choice(GROWTHS)),
            drive=bool(rng.integers(2)),
            weight_bits=int(rng.integers(2, 9)),
            signed=signed and bool(rng.integers(2)),
            thresholds=bool(rng.integers(2)),
            reset_kind=kind,
        )
    made = network.readout(int(rng.integers(1, 7)), growth=float(rng.choice(GROWTHS)), drive=bool(rng.integers(2)))
    reaches = (
        tuple(int(reach) for reach in rng.integers(0, count, int(rng.integers(0, 3)))) if backward is None else backward
    )
    links = []
    for number, reach in enumerate(reaches):
        source = int(rng.integers(reach, count))
        ends = made.populations[source], made.populations[source - reach]
        shape = ends[1].shape[0], ends[0].shape[0]
        weights = rng.integers(-7, 8, shape, dtype=np.int8)
        back = Connection(f"back{number}", ends[0].name, ends[1].name, Dense(), weights, 4, int(rng.integers(0, 5)))
        links.append(back)
    stepped = bool(rng.random() < 0.8) if sequence is None else sequence
    inputs = (replace(made.inputs[0], sequence=steps if stepped else 0),)
    return replace(made, inputs=inputs, connections=(*made.connections, *links))


def random_sequences(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """Samples uint8 [count, T, values], or [count, values] where the input stays the same; with silent, full steps."""
    source = network.inputs[0]
    shape = (count, *((source.sequence,) if source.sequence else ()), source.shape[0])
    x = rng.integers(0, 256, shape, dtype=np.uint8)
    x *= rng.random(shape) < rng.choice([0.0, 0.3, 1.0], (*shape[:-1], 1))
    return x
