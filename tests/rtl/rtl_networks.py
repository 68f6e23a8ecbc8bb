"""Small networks, each with a corner of the hardware in it, and the lanes that lead there."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Connection, Conv2d, Dense, Input, Network, Neuron, Population, Readout, Silent
from spikeloom.geometry import Diagonal, Geometry
from spikeloom.placing.cores import plan_core
from spikeloom.program.program import Program
from spikeloom_sim.design import Design

MakeDesign = Callable[[Network, int], Design]


def _start(name: str, shape: tuple[int, int, int], timesteps: int) -> RandomNetwork:
    return RandomNetwork(np.random.default_rng(len(name)), shape, timesteps, name)


def registers() -> Network:
    """Every population is one row; both growths; trains of one and of six steps."""
    return _start("registers", (9, 1, 1), 6).dense(7, timesteps=1).dense(5, timesteps=6, growth=1.0).readout(3)


def memories() -> Network:
    """Rows in memories: convolution with padding, pooling on the way into the next layer, groups of channels."""
    network = _start("memories", (2, 4, 4), 3)
    network.conv(5, Conv2d((2, 2), padding=(1, 1)), timesteps=3, shift=1)
    return network.dense(7, timesteps=4, pool=(2, 2)).readout(4, weight_bits=2)


def strides() -> Network:
    """Stride, an uneven kernel, grouped convolution over odd channels, a pooling that drops an edge."""
    network = _start("strides", (3, 7, 5), 4)
    network.conv(6, Conv2d((3, 2), stride=(2, 1), padding=(1, 0), groups=3), timesteps=2, weight_bits=8)
    return network.conv(9, Conv2d((1, 2), stride=(1, 2), groups=3, pool=(2, 1)), growth=1.0, timesteps=5).readout(5)


def single() -> Network:
    """One lane, one step, one output."""
    network = _start("single", (1, 3, 2), 1).conv(3, Conv2d((2, 2)), timesteps=1)
    return network.dense(4, timesteps=1, growth=1.0).readout(1)


def woven() -> Network:
    """Trains that skip layers: residuals beside and behind the stream, a concatenation, a shortcut, max pooling."""
    network = _start("woven", (2, 5, 6), 3).conv(4, Conv2d((3, 3), padding=(1, 1)), timesteps=3)
    network.conv(4, Conv2d((3, 3), padding=(1, 1), groups=2), timesteps=4)
    network.conv(6, Conv2d((2, 2), stride=(2, 2), padding=(1, 0)), timesteps=3, growth=1.0)
    network.conv(5, Conv2d((1, 1)), timesteps=2)
    last = network.readout(4)
    extra = (
        _extra(last, "skips", "l1", "l3", Diagonal((2, 2), channel_offset=2), 8),
        _extra(last, "late", "l1", "l2", Diagonal(), 5),  # added when the train that it hears has come
        _extra(last, "shortcut", "l2", "l4", Conv2d((1, 1), stride=(2, 2)), 5),
        _extra(last, "largest", "l3", "readout", Dense((2, 3), "max", (4, 4), (0, 1)), 5),
    )
    return replace(last, connections=(*last.connections, *extra))


def woven_program() -> Program:
    """All layers of `woven` on one core of two by two cells, a spread each."""
    network, spreads = woven(), [(2, 2), (2, 2), (1, 2), (2, 1), (1, 1)]
    return Program(network, (plan_core(network, 0, 5, grid=(2, 2), width=2, spreads=spreads),))


def wired(*links: tuple[str, str], sequence: int = 6, layers: int = 2) -> Network:
    """Layers of 5 neurons and a readout, one behind the other, and these recurrent connections."""
    rng = np.random.default_rng(2321)  # every neuron of theirs fires in some time steps, and not in others
    names = [*(f"l{number}" for number in range(1, layers + 1)), "readout"]
    sizes = dict.fromkeys(names, 5) | {"input": 3}
    populations = []
    for name in names:
        initial, drive = rng.integers(-20, 20, (1, 5)), rng.integers(-5, 15, (1, 5))
        theta = rng.integers(20, 150, (1, 5)) if name == "l1" else rng.integers(5, 20, (1, 5))
        fires = Neuron(6, 0.0 if name == "l2" else 0.5, theta, initial, fire_pos=(theta + 1) // 2, drive=drive)
        populations.append(Population(name, (5, 1, 1), Silent(initial) if name == "readout" else fires))
    ends = [("input", "l1"), *pairwise(names), *links]
    connections = tuple(
        Connection(
            f"c{n}", a, b, Dense(), rng.integers(-7, 8, (sizes[b], sizes[a]), dtype=np.int8), 4, 2 * (n > layers)
        )
        for n, (a, b) in enumerate(ends)
    )
    source = Input("input", (3, 1, 1), 5, 1 / 32, sequence=sequence)
    return Network("wired", (source,), tuple(populations), connections, (Readout("readout", 1.0),), "synchronous")


def recurrent() -> Network:
    """Layers that hear themselves and one behind them, a growth of 0 between others, and a readout behind a cut."""
    return wired(("l1", "l1"), ("l2", "l1"), ("l2", "l2"), layers=3)


def _extra(network: Network, name: str, source: str, target: str, geometry: Geometry, bits: int) -> Connection:
    """A further connection with random weights."""
    rng, top = np.random.default_rng(len(name)), (1 << (bits - 1)) - 1
    shape = geometry.weight_shape(network.source(source).shape, network.source(target).shape)
    return Connection(name, source, target, geometry, rng.integers(-top, top + 1, shape, dtype=np.int8), bits)


LANES = {registers: 9, memories: 5, strides: 4, single: 1}
