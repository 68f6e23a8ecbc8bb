"""How potentials come about, step by step: the golden model's own phases, with what they leave behind after each step.

Its recordings hold the potential at the phase boundary and after the last reset. What lies between is made here from
the recorded spikes by the golden model's own pieces, and ends in the same integers, which a test holds to it.
"""

import numpy as np
import torch
from spikeloom.golden.stepped import Synapses, fire
from spikeloom.golden.synapses import initial_potentials, per_channel
from spikeloom.network import Network, Population
from spikeloom.neuron import Neuron, grow
from spikeloom.trace import Trace


def accumulation(network: Network, trace: Trace, name: str) -> np.ndarray:
    """The potential of a population after each time step of the trains it hears, int64 [N, T, C, H, W].

    T is that of its longest incoming train; shorter ones end with it. The offset is there from the start. Of a
    synchronous network it is what the recording holds of every step: V after integration and before firing.
    """
    if network.schedule == "synchronous":
        return trace.accumulated[name]
    population = network.source(name)
    assert isinstance(population, Population)  # nothing ends in an input
    steps = max(trace.spikes[item.source].shape[1] for item in network.incoming(name))
    offset = initial_potentials(network, population)
    samples = len(next(iter(trace.spikes.values())))
    total = torch.zeros(samples, steps, *population.shape, dtype=torch.int64) + offset
    for connection in network.incoming(name):
        synapses = Synapses(connection, population.shape[0])
        heard = synapses.heard(torch.from_numpy(trace.spikes[connection.source]))
        growth, _ = network.train(connection.source)
        # what is heard up to a step, worth what it will be worth at the end: all that comes later is silent
        so_far = torch.zeros(samples, *population.shape, dtype=torch.int64)
        first = steps - heard.shape[1]
        for step in range(heard.shape[1]):
            so_far = grow(so_far, growth) + synapses(heard[:, step])
            worth = so_far
            for _ in range(heard.shape[1] - 1 - step):
                worth = grow(worth, growth)
            total[:, first + step] += worth
    return total.numpy()


def generation(neuron: Neuron, accumulated: np.ndarray, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The generate phase of some neurons: V before each decision int64 [neurons, T], and after the last [neurons].

    Parameters
    ----------
    accumulated : V at the phase boundary, before the clamp, int64 [neurons].
    channels : of each, int64 [neurons].
    """
    potential = torch.from_numpy(np.ascontiguousarray(accumulated)).reshape(1, -1, 1, 1)
    chosen = _of_channels(neuron, channels)
    most = chosen.ceiling * per_channel(chosen.theta)
    potential = potential.clamp(-most if chosen.signed else torch.zeros_like(most), most)
    seen = []
    for step in range(chosen.timesteps):
        seen.append(potential.flatten().numpy())
        _, potential = fire(potential, chosen)
        if step < chosen.timesteps - 1:
            potential = grow(potential, chosen.growth)
    return np.stack(seen, 1), potential.flatten().numpy()


def _of_channels(neuron: Neuron, channels: np.ndarray) -> Neuron:
    """A neuron whose vectors hold one value for each of some neurons rather than for each channel."""
    from dataclasses import fields, replace

    vectors = {
        item.name: getattr(neuron, item.name)[:1, channels]
        for item in fields(neuron)
        if isinstance(getattr(neuron, item.name), np.ndarray)
    }
    return replace(neuron, **vectors)  # type: ignore[arg-type]  # every one of them is a vector
