"""The definition: every time step of every phase, spelled out on integers."""

import numpy as np
import torch

from ..encoding import codes_of, encode, spikes_of
from ..network import Connection, Network
from ..neuron import Neuron, grow
from ..trace import Trace
from .synapses import initial_potentials, per_channel, propagate, race, weight_tensor


def fire(potential: torch.Tensor, neuron: Neuron) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes -1, 0, +1 of potentials [N, C, H, W], and what the reset leaves of these; int64 both."""
    positive, negative, amount = neuron.thresholds
    above = (potential >= per_channel(positive)).to(torch.int64)
    below = torch.zeros_like(above)
    if negative is not None:
        below = (potential <= per_channel(negative)).to(torch.int64)
    spikes = above - below
    if neuron.reset_kind == "hard":
        return spikes, potential.masked_fill(spikes != 0, 0)
    return spikes, potential - above * per_channel(amount) + below * per_channel(neuron.negative_amount)


def accumulate(spikes: torch.Tensor, growth: float, synapses: "Synapses") -> torch.Tensor:
    """Accumulate phase of one connection: int64 [N, O, H', W'] of spikes int8 [N, T, C, H, W]."""
    spikes = synapses.heard(spikes)
    total = synapses(spikes[:, 0])
    for t in range(1, spikes.shape[1]):
        total = grow(total, growth) + synapses(spikes[:, t])
    return total


def generate(potential: torch.Tensor, neuron: Neuron) -> tuple[torch.Tensor, torch.Tensor]:
    """Generate phase: (spikes int8 [N, steps, C, H, W], remainder int64 [N, C, H, W]) of the accumulated potential.

    Minimal-weight code takes its digits from the finished code, never from the potential: that is another integer.

    Ref: SpikeConverter, Algorithm 1, phase II.
    """
    most = neuron.ceiling * per_channel(neuron.theta)
    potential = potential.clamp(-most if neuron.signed else torch.zeros_like(most), most)
    train = []
    for t in range(neuron.timesteps):
        spikes, potential = fire(potential, neuron)
        train.append(spikes.to(torch.int8))
        if t < neuron.timesteps - 1:
            potential = grow(potential, neuron.growth)
    sent = torch.stack(train, 1)
    if neuron.code == "naf":
        sent = torch.from_numpy(spikes_of(codes_of(sent.numpy(), neuron.growth), neuron.timesteps, neuron.code))
    return sent, potential


class Synapses:
    """The synapses of one connection: spikes of one time step in, int64 contributions out.

    Parameters
    ----------
    connection : Connection
    channels : of the target, see `propagate`.
    """

    def __init__(self, connection: Connection, channels: int | None = None) -> None:
        self.windows = connection.geometry.max_windows
        self.connection, self.channels = connection, channels
        self.weights = weight_tensor(connection, torch.float64)

    def heard(self, train: torch.Tensor) -> torch.Tensor:
        """The trains whose spikes reach the synapses: the source's [N, T, C, H, W], or the winners of max pooling."""
        return train if self.windows is None else race(train, self.windows)

    def __call__(self, spikes: torch.Tensor) -> torch.Tensor:
        spikes = spikes.to(torch.float64)
        return propagate(self.connection, self.weights, spikes, self.channels, raced=True).to(torch.int64)


def run(network: Network, x: np.ndarray) -> Trace:
    """Run samples through the network, time step by time step.

    Parameters
    ----------
    network : Network
    x : samples as `spikeloom.encoding.encode` takes them.

    Returns
    -------
    Trace
        All spikes, accumulated potentials and remainders.
    """
    network.require_built()
    if network.schedule == "synchronous":
        from .synchronous import run as run_synchronous

        return run_synchronous(network, x)
    source = network.inputs[0]
    trains = {source.name: torch.from_numpy(spikes_of(encode(source, x), source.timesteps, source.code))}
    growths = {source.name: source.growth}
    accumulated, remainder = {}, {}
    for population in network.populations:
        potential = sum(
            (
                accumulate(
                    trains[connection.source],
                    growths[connection.source],
                    Synapses(connection, population.shape[0]),
                )
                for connection in network.incoming(population.name)
            ),
            start=initial_potentials(network, population),
        )
        accumulated[population.name] = potential.numpy()
        if isinstance(population.neuron, Neuron):
            spikes, left = generate(potential, population.neuron)
            trains[population.name], remainder[population.name] = spikes, left.numpy()
            growths[population.name] = population.neuron.growth
    return Trace({name: train.numpy() for name, train in trains.items()}, accumulated, remainder)
