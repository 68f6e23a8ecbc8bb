"""Small networks, each with a corner of the hardware in it, and the lanes that lead there."""

from collections.abc import Callable

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Conv2d, Network
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


LANES = {registers: 9, memories: 5, strides: 4, single: 1}
