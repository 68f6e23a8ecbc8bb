"""Networks with the shapes of deep ones and random weights, for tests of plans."""

import dataclasses

import numpy as np
from random_networks import RandomNetwork
from spikeloom import Connection, Conv2d, Diagonal, Network


def residual_network(
    rng: np.random.Generator,
    *,
    channels: tuple[int, ...] = (16, 32, 64),
    blocks: int = 3,
    size: int = 32,
    timesteps: int = 6,
    diagonal_bits: int = 6,
    activity: float = 1.4,
) -> Network:
    """ResNet-20 by default: a convolution, stages of basic blocks, average pooling, a dense readout of ten.

    Shortcuts are diagonal; where a stage begins, they take every second position and pad with channels on both sides.
    `activity` is the mean number of events a neuron.
    """
    network = RandomNetwork(rng, (3, size, size), timesteps, "residual")
    same = Conv2d((3, 3), padding=(1, 1))
    network.conv(channels[0], same)
    shortcuts = []
    before = channels[0]
    for outputs in channels:
        for block in range(blocks):
            source = network.populations[-1]
            stride = (2, 2) if block == 0 and outputs != before else (1, 1)
            network.conv(outputs, dataclasses.replace(same, stride=stride)).conv(outputs, same)
            target = network.populations[-1]
            weights = rng.integers(1, 1 << (diagonal_bits - 1), source.shape[0]).astype(np.int8)
            geometry = Diagonal(stride, (outputs - source.shape[0]) // 2)
            name = f"{source.name}_to_{target.name}"
            shortcuts.append(Connection(name, source.name, target.name, geometry, weights, diagonal_bits))
            before = outputs
    pool = network.populations[-1].shape[1:]
    made = network.readout(10, pool=pool)
    populations = tuple(
        dataclasses.replace(item, activity=activity * float(np.prod(item.shape))) for item in made.populations[:-1]
    )
    inputs = (dataclasses.replace(made.inputs[0], activity=2 * activity * float(np.prod(made.inputs[0].shape))),)
    return dataclasses.replace(
        made,
        inputs=inputs,
        populations=(*populations, made.populations[-1]),
        connections=(*made.connections, *shortcuts),
    )
