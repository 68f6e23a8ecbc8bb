"""The synchronous schedule: every time step, in topological order: leak, add drive and inputs, fire, reset.

What a source fires is heard in the same time step, over a recurrent connection in the next one. The input is analogue:
its train is accumulated once, and the sum is injected as a constant drive every step; of a sequence, that of the step.

Here it stands twice, and a test keeps both equal: `run` goes step by step through all populations, as the definition
says; `by_layers` goes layer by layer through all time steps, which takes one matrix product a connection. Layers that
a recurrent connection spans can only go together, step by step.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ..bounds import per_step
from ..encoding import encode, spikes_of
from ..network import Network, Population
from ..neuron import Neuron, Silent, grow
from ..trace import Trace
from .stepped import Synapses, accumulate, fire, generate
from .synapses import initial_potentials, per_channel, per_neuron, propagate, weight_tensor

_EXACT_FLOAT32 = 1 << 24


def run(network: Network, x: np.ndarray) -> Trace:
    """Run samples through the network, time step by time step; see `spikeloom.golden.run`."""
    source = network.inputs[0]
    codes = encode(source, x)
    shown = codes if source.sequence else codes[:, None]  # [N, 1 or the network's T, C, H, W]
    trains = torch.from_numpy(spikes_of(shown.reshape(-1, *source.shape), source.timesteps, source.code))
    synapses = {item.name: Synapses(item, network.source(item.target).shape[0]) for item in network.connections}
    injected = {
        item.name: accumulate(trains, source.growth, synapses[item.name]).unflatten(0, shown.shape[:2])
        for item in network.connections
        if item.source == source.name
    }
    left = {item.name: initial_potentials(network, item) for item in network.populations}
    heard = {  # of recurrent connections what was fired one step ago
        item.name: torch.zeros(len(codes), *item.shape, dtype=torch.int64)
        for item in network.populations
        if isinstance(item.neuron, Neuron)
    }
    sent: dict[str, list[torch.Tensor]] = {name: [] for name in left}
    integrated: dict[str, list[torch.Tensor]] = {name: [] for name in left}
    for t in range(network.timesteps):
        for population in network.populations:
            neuron, name = population.neuron, population.name
            potential = grow(left[name], neuron.growth)
            if neuron.drive is not None:
                potential = potential + per_neuron(network, name, neuron.drive)
            for connection in network.incoming(name):
                if connection.source == source.name:
                    potential = potential + injected[connection.name][:, t if source.sequence else 0]
                else:
                    potential = potential + synapses[connection.name](heard[connection.source])
            integrated[name].append(potential)
            if isinstance(neuron, Neuron):
                digits, heard[name], potential = spike(potential, neuron)
                sent[name].append(digits)
            left[name] = potential
    firing = [item.name for item in network.populations if isinstance(item.neuron, Neuron)]
    return Trace(
        {source.name: trains.unflatten(0, shown.shape[:2]).flatten(1, 2).numpy()}
        | {name: torch.cat(sent[name], 1).numpy() for name in firing},
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
        self.input = network.inputs[0]
        self.channels, self.initial = population.shape[0], initial_potentials(network, population, self.dtype)
        drive = population.neuron.drive
        self.drive = None if drive is None else per_neuron(network, self.name, drive, self.dtype)
        incoming = [(item, weight_tensor(item, self.dtype)) for item in network.incoming(population.name)]
        self.incoming = [pair for pair in incoming if not network.recurrent(pair[0])]
        self.recurrent = [pair for pair in incoming if network.recurrent(pair[0])]
        if isinstance(self.neuron, Neuron):
            vectors = (*self.neuron.thresholds, self.neuron.negative_amount)
            self.thresholds = [None if item is None else per_channel(item, self.dtype) for item in vectors]

    def current(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What is added in every time step, [N, T, C, H, W], or [N, 1, C, H, W] where it stays the same.

        `values`: spikes of its sources [N, T, C, H, W], of those it hears in the same time step; the input's codes are
        [N, C, H, W], of a sequence [N, T, C, H, W]. Sources that are not there add nothing.
        """
        current = torch.zeros(len(values[self.input.name]), 1, 1, 1, 1, dtype=self.dtype)
        for connection, weights in self.incoming:
            if connection.source not in values:
                continue
            heard = values[connection.source].to(self.dtype)
            if connection.source == self.input.name and not self.input.sequence:
                heard = heard[:, None]
            part = propagate(connection, weights, heard.flatten(0, 1), self.channels)
            current = current + part.unflatten(0, heard.shape[:2])
        return current if self.drive is None else current + self.drive[:, None]

    def heard(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor | float:
        """What spikes [N, C, H, W] of one time step add, those heard in the same step and those one step old alike."""
        parts = [
            propagate(connection, weights, values[connection.source].to(self.dtype), self.channels)
            for connection, weights in (*self.incoming, *self.recurrent)
            if connection.source in values
        ]
        return sum(parts, start=torch.zeros((), dtype=self.dtype)) if parts else 0.0

    def fire(self, potential: torch.Tensor, neuron: Neuron) -> tuple[torch.Tensor, torch.Tensor]:
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
    """What every population does with input codes [N, C, H, W], or [N, T, C, H, W] of a sequence.

    Parameters
    ----------
    layers : all of them, in order.
    codes : of the samples.
    keep : keep the potentials of every time step.
    """
    courses: dict[str, Course] = {}
    values = {layers[0].input.name: codes}
    for block in blocks(layers):
        for name, course in _together(block, values, keep=keep).items():
            courses[name] = course
            if course.values is not None:
                values[name] = course.values
    return courses


def blocks(layers: list[Layer]) -> list[list[Layer]]:
    """The layers in their order: those that recurrent connections tie together, and all others by themselves."""
    order = {layer.name: number for number, layer in enumerate(layers)}
    found: list[list[Layer]] = []
    last = -1  # of the layers that a recurrent connection reaches back from
    for number, layer in enumerate(layers):
        if number > last:
            found.append([])
        found[-1].append(layer)
        last = max([last, *(order[connection.source] for connection, _ in layer.recurrent)])
    return found


def _together(block: list[Layer], values: Mapping[str, torch.Tensor], *, keep: bool) -> dict[str, Course]:
    """All time steps of some layers, step by step, with what the layers before them send, see `Layer.current`."""
    currents = [layer.current(values) for layer in block]
    left: list[torch.Tensor] = [layer.initial for layer in block]
    integrated: list[list[torch.Tensor]] = [[] for _ in block]
    sent: list[list[torch.Tensor]] = [[] for _ in block]
    own: dict[str, torch.Tensor] = {}  # spikes of this time step, and, of layers that have not fired yet, of the last
    for t in range(block[0].timesteps):
        for number, (layer, current) in enumerate(zip(block, currents, strict=True)):
            neuron = layer.neuron
            potential = _grown(left[number], neuron.growth) + current[:, t if current.shape[1] > 1 else 0]
            potential = potential + layer.heard(own)
            if keep:
                integrated[number].append(potential)
            if isinstance(neuron, Neuron):
                value, potential = layer.fire(potential, neuron)
                sent[number].append(value)
                if len(block) > 1 or layer.recurrent:
                    own[layer.name] = value
            left[number] = potential
    return {
        layer.name: _course(layer.neuron, sent[number], integrated[number], left[number])
        for number, layer in enumerate(block)
    }


def _course(
    neuron: Neuron | Silent, sent: list[torch.Tensor], integrated: list[torch.Tensor], left: torch.Tensor
) -> Course:
    stacked = torch.stack(sent, 1) if sent else None
    digits = stacked
    if stacked is not None and isinstance(neuron, Neuron) and neuron.step_bits:
        digits = torch.from_numpy(spikes_of(stacked.flatten(0, 1).numpy(), neuron.step_bits))
        digits = digits.unflatten(0, stacked.shape[:2]).flatten(1, 2)
    return Course(digits, stacked, torch.stack(integrated, 1) if integrated else None, left)
