"""The spiking network in floats: every population a neuron of the synchronous schedule, in the model's units.

It stands between the trained model and the integer line: a method says what the neurons are, `quantise_spiking` rounds
them, and `averages` tells what they do with exact weights.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from .float_network import INPUT, FloatLayer, FloatNetwork

_MOST_VALUES = 1 << 24  # of a train that are propagated at a time


@dataclass(frozen=True, eq=False)
class FloatNeuron:
    """A population's neurons. Vectors are float64 [C], in the units of u.

    Every time step: V <- growth * V + u + shift; fire; reset. A spike counts for `worth` in the average over the time
    steps that the next layers hear.

    Parameters
    ----------
    worth : of a spike; of a graded one, of a value of 1.
    theta : what a soft reset subtracts.
    fire_pos, fire_neg : where it fires +1 and, if signed, -1; None: theta, and -theta.
    initial : potential a sample starts with; None: 0.
    shift : added to u every time step; None: 0.
    growth : 1 (IF), or below 1 (LIF).
    reset_kind : "soft", or "hard": a spike leaves 0.
    signed : spikes are -1, 0, +1.
    reset_neg : what is added at a negative spike where it is not theta.
    gamma : graded spikes: where V > fire_pos, V - fire_pos + gamma is sent. None: spikes are binary.
    spike_bits : bits of a graded spike on the integer line.
    most : largest value of a graded spike.
    biased : u has the layer's bias; otherwise its mean over the places is in the thresholds.
    multiple : theta has to be a multiple of so many units of the integer potential, so that parts of it are exact.
    """

    worth: np.ndarray
    theta: np.ndarray
    fire_pos: np.ndarray | None = None
    fire_neg: np.ndarray | None = None
    initial: np.ndarray | None = None
    shift: np.ndarray | None = None
    growth: float = 1.0
    reset_kind: str = "soft"
    signed: bool = False
    reset_neg: np.ndarray | None = None
    gamma: np.ndarray | None = None
    spike_bits: int = 0
    most: float = math.inf
    biased: bool = True
    multiple: int = 1


@dataclass(frozen=True, eq=False)
class SpikingNetwork:
    """A float network with the neurons of its populations.

    Parameters
    ----------
    network : FloatNetwork
    neurons : of every layer that fires, by name.
    timesteps : T of all.
    readout_growth : of the potentials of the readouts: 1, or below 1 where they leak.
    """

    network: FloatNetwork
    neurons: Mapping[str, FloatNeuron]
    timesteps: int
    readout_growth: float = 1.0


def averages(spiking: SpikingNetwork, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean spike of a time step, [N, C, H, W], of every layer that fires, and the readouts' potentials at the end.

    `x`: [N, C, H, W], what the first layer hears in every time step, or [N, T, C, H, W], what it hears in each.
    """
    return _reduced(spiking, x, lambda spikes: spikes.mean(1))


def trains(spiking: SpikingNetwork, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """As `averages`, of every neuron all of its spikes, [N, T, C, H, W]."""
    return _reduced(spiking, x, lambda spikes: spikes)


def largest(spiking: SpikingNetwork, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """As `averages`, of every neuron the largest of its spikes."""
    return _reduced(spiking, x, lambda spikes: spikes.amax(1))


def _reduced(
    spiking: SpikingNetwork, x: torch.Tensor, reduce: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    widest = max(int(np.prod(layer.shape)) for layer in spiking.network.layers)
    chunk = max(1, _MOST_VALUES // (widest * spiking.timesteps))
    parts = [dict(_run(spiking, part, reduce)) for part in x.split(chunk)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _run(
    spiking: SpikingNetwork, x: torch.Tensor, reduce: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and what is made of the spikes [N, T, C, H, W], layer by layer, all time steps of one before the next."""
    network, steps = spiking.network, spiking.timesteps
    trains = {INPUT: x if network.sequence else x[:, None]}
    for number, layer in enumerate(network.layers):
        drive = _drive(layer, {item.source: trains[item.source] for item in layer.incoming}, steps)
        if layer.response is None:
            yield layer.name, _integrated(drive, spiking.readout_growth)
            continue
        neuron = spiking.neurons[layer.name]
        spikes = fired(drive if neuron.biased else drive - _column(layer.bias.mean((1, 2)), drive), neuron, layer.back)
        yield layer.name, reduce(spikes)
        trains = {name: train for name, train in trains.items() if network.last_use.get(name, -1) > number}
        if layer.name in network.last_use:
            trains[layer.name] = spikes * _column(neuron.worth, spikes)


def _drive(layer: FloatLayer, trains: Mapping[str, torch.Tensor], steps: int) -> torch.Tensor:
    """u [N, T, O, H', W'] of trains [N, T, C, H, W], or of a constant input [N, 1, C, H, W]."""
    if all(train.shape[1] == 1 for train in trains.values()):
        one = layer.drive({name: train[:, 0] for name, train in trains.items()})
        return one[:, None].expand(-1, steps, -1, -1, -1)
    return layer.drive({name: train.expand(-1, steps, -1, -1, -1) for name, train in trains.items()})


def fired(
    drive: torch.Tensor, neuron: FloatNeuron, back: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> torch.Tensor:
    """Spikes [N, T, C, H, W], -1, 0, +1 or values of graded ones, of what a population is driven by.

    `back`: what they add to the drive of the next time step, for what they are worth.
    """
    first = drive[:, 0]
    theta = _column(neuron.theta, first)
    above = theta if neuron.fire_pos is None else _column(neuron.fire_pos, first)
    below = -theta if neuron.fire_neg is None else _column(neuron.fire_neg, first)
    added = theta if neuron.reset_neg is None else _column(neuron.reset_neg, first)
    shift = 0.0 if neuron.shift is None else _column(neuron.shift, first)
    left = torch.zeros_like(first) if neuron.initial is None else _column(neuron.initial, first).expand_as(first)
    sent: list[torch.Tensor] = []
    for step in drive.unbind(1):
        potential = neuron.growth * left + step + shift
        if back is not None and sent:
            potential = potential + back(sent[-1] * _column(neuron.worth, first))
        if neuron.gamma is not None:
            fires = potential > above
            value = (potential - above + _column(neuron.gamma, first)).clamp(max=neuron.most)
            sent.append(value * fires)
            left = potential.masked_fill(fires, 0.0)
            continue
        spikes = (potential >= above).to(potential.dtype)
        soft = potential - spikes * theta
        if neuron.signed:
            down = (potential <= below).to(potential.dtype)
            spikes, soft = spikes - down, soft + down * added
        left = soft if neuron.reset_kind == "soft" else potential.masked_fill(spikes != 0, 0.0)
        sent.append(spikes)
    return torch.stack(sent, 1)


def _integrated(drive: torch.Tensor, growth: float) -> torch.Tensor:
    left = torch.zeros_like(drive[:, 0])
    for step in drive.unbind(1):
        left = growth * left + step
    return left


def _column(vector: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """A vector [C], or [C, H, W], in the shape and dtype of potentials."""
    values = torch.from_numpy(np.asarray(vector, np.float64)).to(like.dtype)
    return values.reshape(-1, 1, 1) if values.ndim == 1 else values
