"""The synchronous schedule: every time step, in topological order: leak, add drive and inputs, fire, reset.

What a source fires is heard in the same time step. The input is analogue: its train is accumulated once, and the sum
is injected as a constant drive every step.

Here it stands twice, and a test keeps both equal: `run` goes step by step through all populations, as the definition
says; `by_layers` goes layer by layer through all time steps, which takes one matrix product a connection.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..bounds import per_step
from ..encoding import encode, spikes_of
from ..network import Network, Population
from ..neuron import Neuron, grow
from ..trace import Trace
from .stepped import Synapses, accumulate, fire, generate
from .synapses import initial_potentials, per_channel, per_neuron, propagate, weight_tensor

_EXACT_FLOAT32 = 1 << 24


def run(network: Network, x: np.ndarray) -> Trace:
    """Run samples through the network, time step by time step; see `spikeloom.golden.run`."""
    source = network.inputs[0]
    train = torch.from_numpy(spikes_of(encode(source, x), source.timesteps, source.code))
    synapses = {item.name: Synapses(item, network.source(item.target).shape[0]) for item in network.connections}
    injected = {
        item.name: accumulate(train, source.growth, synapses[item.name])
        for item in network.connections
        if item.source == source.name
    }
    left = {item.name: initial_potentials(network, item) for item in network.populations}
    sent: dict[str, list[torch.Tensor]] = {name: [] for name in left}
    integrated: dict[str, list[torch.Tensor]] = {name: [] for name in left}
    for _ in range(network.timesteps):
        heard: dict[str, torch.Tensor] = {}
        for population in network.populations:
            neuron, name = population.neuron, population.name
            potential = grow(left[name], neuron.growth)
            if neuron.drive is not None:
                potential = potential + per_neuron(network, name, neuron.drive)
            for connection in network.incoming(name):
                if connection.source == source.name:
                    potential = potential + injected[connection.name]
                else:
                    potential = potential + synapses[connection.name](heard[connection.source])
            integrated[name].append(potential)
            if isinstance(neuron, Neuron):
                digits, heard[name], potential = spike(potential, neuron)
                sent[name].append(digits)
            left[name] = potential
    firing = [item.name for item in network.populations if isinstance(item.neuron, Neuron)]
    return Trace(
        {source.name: train.numpy()} | {name: torch.cat(sent[name], 1).numpy() for name in firing},
        {name: torch.stack(steps, 1).numpy() for name, steps in integrated.items()},
        {name: left[name].numpy() for name in firing},
    )


def spike(potential: torch.Tensor, neuron: Neuron) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What potentials int64 [N, C, H, W] send in a time step: digits int8 [N, steps/T, C, H, W], value, what is left.

    A graded spike is a growth-2 train, divided off by theta as in a generate phase. Ref: StepReLU, Eq. 3 and 6.
    """
    if neuron.step_gamma is None:
        spikes, left = fire(potential, neuron)
        return spikes.to(torch.int8)[:, None], spikes, left
    threshold = per_channel(neuron.thresholds[0])
    fires = potential > threshold
    value = (potential - threshold + per_channel(neuron.step_gamma)) * fires
    digits, _ = generate(value, Neuron(neuron.step_bits, 2.0, neuron.theta, neuron.initial))
    weights = 1 << torch.arange(neuron.step_bits - 1, -1, -1).reshape(1, -1, 1, 1, 1)
    return digits, (digits * weights).sum(1), potential.masked_fill(fires, 0)


@dataclass(frozen=True, eq=False)
class Course:
    """What a population did in all T time steps, whole numbers.

    `spikes` int8 [N, steps, C, H, W], None for readouts; `values` [N, T, C, H, W], what these weigh, likewise;
    `integrated` [N, T, C, H, W], potentials before firing, None if not kept; `left` [N, C, H, W], after the last reset.
    """

    spikes: torch.Tensor | None
    values: torch.Tensor | None
    integrated: torch.Tensor | None
    left: torch.Tensor


class Layer:
    """A population with its incoming synapses, prepared once; its potentials are floating point, but exact integers."""

    def __init__(self, network: Network, population: Population) -> None:
        bounds = (*network.intervals[population.name], *per_step(network, population.name))
        self.dtype = torch.float32 if max(abs(bound).max() for bound in bounds) < _EXACT_FLOAT32 else torch.float64
        self.neuron, self.name, self.timesteps = population.neuron, population.name, network.timesteps
        self.input = network.inputs[0].name
        self.channels, self.initial = population.shape[0], initial_potentials(network, population, self.dtype)
        drive = population.neuron.drive
        self.drive = None if drive is None else per_neuron(network, self.name, drive, self.dtype)
        self.incoming = [(item, weight_tensor(item, self.dtype)) for item in network.incoming(population.name)]
        if isinstance(self.neuron, Neuron):
            vectors = (*self.neuron.thresholds, self.neuron.negative_amount)
            self.thresholds = [None if item is None else per_channel(item, self.dtype) for item in vectors]

    def course(self, values: dict[str, torch.Tensor], *, keep: bool) -> Course:
        """All time steps of the population.

        Parameters
        ----------
        values : of its sources' spikes [N, T, C, H, W]; the input's codes are [N, C, H, W].
        keep : keep the potentials of every time step.
        """
        neuron, current = self.neuron, self._current(values)
        left = self.initial
        integrated, sent = [], []
        for t in range(self.timesteps):
            potential = _grown(left, neuron.growth) + current[:, t if current.shape[1] > 1 else 0]
            if keep:
                integrated.append(potential)
            left = potential
            if isinstance(neuron, Neuron):
                value, left = self._fire(potential, neuron)
                sent.append(value)
        stacked = torch.stack(sent, 1) if sent else None
        digits = stacked
        if stacked is not None and isinstance(neuron, Neuron) and neuron.step_bits:
            digits = torch.from_numpy(spikes_of(stacked.flatten(0, 1).numpy(), neuron.step_bits))
            digits = digits.unflatten(0, stacked.shape[:2]).flatten(1, 2)
        return Course(digits, stacked, torch.stack(integrated, 1) if keep else None, left)

    def _current(self, values: dict[str, torch.Tensor]) -> torch.Tensor:
        """What is added in every time step, [N, T, C, H, W], or [N, 1, C, H, W] where it stays the same."""
        current = torch.zeros((), dtype=self.dtype)
        for connection, weights in self.incoming:
            heard = values[connection.source].to(self.dtype)
            if connection.source == self.input:
                current = current + propagate(connection, weights, heard, self.channels)[:, None]
            else:
                part = propagate(connection, weights, heard.flatten(0, 1), self.channels)
                current = current + part.unflatten(0, heard.shape[:2])
        return current if self.drive is None else current + self.drive[:, None]

    def _fire(self, potential: torch.Tensor, neuron: Neuron) -> tuple[torch.Tensor, torch.Tensor]:
        """Values of the spikes, int8 or those of graded ones int64, and what is left of the potentials."""
        positive, negative, amount, negative_amount = self.thresholds
        assert positive is not None
        assert amount is not None
        assert negative_amount is not None
        if neuron.step_gamma is not None:  # all its digits at once: a quotient
            fires = potential > positive
            twice = 2 * per_channel(neuron.theta)
            excess = potential.to(torch.int64) - per_channel(neuron.thresholds[0]) + per_channel(neuron.step_gamma)
            value = torch.minimum(excess, twice)
            code = (value << (neuron.step_bits - 1)).div_(per_channel(neuron.theta), rounding_mode="floor")
            return code.clamp_(max=(1 << neuron.step_bits) - 1).masked_fill_(~fires, 0), potential.masked_fill(fires, 0)
        fires = potential >= positive
        left = torch.where(fires, potential - amount if neuron.reset_kind == "soft" else 0, potential)
        if negative is None:
            return fires.to(torch.int8), left
        below = potential <= negative
        left = torch.where(below, potential + negative_amount if neuron.reset_kind == "soft" else 0, left)
        return fires.to(torch.int8) - below.to(torch.int8), left


def _grown(potential: torch.Tensor, growth: float) -> torch.Tensor:
    """One time step of growth in floating point, exact."""
    if growth == 1.0:
        return potential
    part = (potential * abs(growth - 1)).floor_()
    return potential + part if growth > 1 else potential - part


def by_layers(layers: list[Layer], codes: torch.Tensor, *, keep: bool) -> dict[str, Course]:
    """What every population does with input codes [N, C, H, W], layer by layer."""
    courses: dict[str, Course] = {}
    values = {layers[0].input: codes}
    for layer in layers:
        course = courses[layer.name] = layer.course(values, keep=keep)
        if course.values is not None:
            values[layer.name] = course.values
    return courses
