"""The float twin of a converted network: the model's exact weights, and the integer network's neurons in its units.

It stands between the model and the integers: what it does otherwise than the model is the work of thresholds and time
steps; what the integer network does otherwise than it, that of rounded weights, and of offsets that make up on average
for all that is lost ahead of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from spikeloom.errors import InvalidNetwork, NotBuilt, shown
from spikeloom.golden.synapses import per_neuron, propagate, weight_tensor
from spikeloom.network import Network, Population
from spikeloom.neuron import Neuron, Silent

from ..float_network import INPUT, FloatLayer, FloatNetwork
from ..spiking import FloatNeuron, SpikingNetwork, averages, fired, trains

Values = dict[str, torch.Tensor]
Back = Callable[[torch.Tensor], torch.Tensor] | None  # what spikes of one time step add to the next, see `fired`


@dataclass(frozen=True, eq=False)
class Coding:
    """Neurons of the two-phase schedule: code = clip(floor((u + rounding) / step), 0, top), worth so much each.

    `step`, `rounding`, `worth`: float64 [C]; Ref: SpikeConverter, Eq. 7 and 10.
    """

    step: np.ndarray
    rounding: np.ndarray
    worth: np.ndarray
    top: int

    def __call__(self, u: torch.Tensor, back: Back = None) -> torch.Tensor:
        """What the codes of a drive u [N, C, H, W] stand for; nothing comes `back` in this schedule."""
        codes = ((u + column(self.rounding, u)) / column(self.step, u)).floor_().clamp_(0, self.top)
        return codes * column(self.worth, u)


@dataclass(frozen=True, eq=False)
class Firing:
    """Neurons of the synchronous schedule that fire for T time steps.

    Parameters
    ----------
    neuron : FloatNeuron
    timesteps : T.
    offset : float64 [C], taken off u first: the bias that is in the thresholds of `neuron`.
    grain, most : of graded spikes, the step their values are cut to, [C], and how many at most; None: exact values.
    sequence : u is [N, T, C, H, W], one drive for every time step, and so is what the spikes stand for.
    """

    neuron: FloatNeuron
    timesteps: int
    offset: np.ndarray
    grain: np.ndarray | None = None
    most: int = 0
    sequence: bool = False

    def __call__(self, u: torch.Tensor, back: Back = None) -> torch.Tensor:
        """What the average spike stands for where u [N, C, H, W] is the drive of every time step."""
        drive = u - column(self.offset, u)
        if not self.sequence:
            drive = drive[:, None].expand(-1, self.timesteps, -1, -1, -1)
        spikes = fired(drive, self.neuron, back)
        if self.grain is not None:
            grain = column(self.grain, u)
            spikes = (spikes / grain).floor().clamp(max=self.most) * grain
        return (spikes if self.sequence else spikes.mean(1)) * column(self.neuron.worth, u)


@dataclass(frozen=True, eq=False)
class FloatSNN:
    """A float network whose layers fire as a converted network's populations do.

    Members
    -------
    network : FloatNetwork
    integers : Network, which was converted from it.
    neurons : what a layer makes of a drive in the model's units, by the name of every layer that fires.
    coarse : the same of a drive in units of the integer potential without its rounding, see `potential`.
    """

    network: FloatNetwork
    integers: Network
    neurons: Mapping[str, Coding | Firing]
    coarse: Mapping[str, Coding | Firing]

    def seen(self, codes: torch.Tensor) -> torch.Tensor:
        """What the input's codes stand for."""
        source = self.integers.inputs[0]
        return codes * source.scale + source.zero

    def values(self, x: torch.Tensor) -> Values:
        """What every layer sends, or reads out, in the model's units, for the coded samples x [N, C, H, W].

        Of a sequence what is sent in every time step, [N, T, ...].
        """
        if self.integers.schedule == "two-phase":
            found: Values = {INPUT: x}
            for layer in self.network.layers:
                u = layer.drive(found)
                found[layer.name] = self.neurons[layer.name](u) if layer.fires else u
            return found
        neurons = {name: item.neuron for name, item in self.neurons.items() if isinstance(item, Firing)}
        growth = self._readout_growth()
        spiking = SpikingNetwork(self.network, neurons, self.integers.timesteps, growth)
        sent = (trains if self.network.sequence else averages)(spiking, x)
        repeats = sum(growth**step for step in range(self.integers.timesteps))
        for name, value in sent.items():
            sent[name] = value * column(neurons[name].worth, value) if name in neurons else value / repeats
        return {INPUT: x, **sent}

    def fire(self, layer: FloatLayer, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What a layer alone sends, exact weights and all, of activations that stay the same in every time step.

        Of a sequence those of every time step; what the layer hears from itself are its own spikes.
        """
        u = layer.drive(values)
        return self.neurons[layer.name](u, layer.back) if layer.fires else self.network.sent(layer, u)

    def fire_rounded(self, layer: FloatLayer, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The same with the integer network's weights and offsets."""
        u = self.potential(layer, values)
        if layer.fires:
            return self.coarse[layer.name](u, self._back(layer))
        scale = next(item.scale for item in self.integers.readouts if item.population == layer.name)
        # the readout's scale divides by what a constant adds up to over all time steps
        repeats = 1.0
        if self.integers.schedule == "synchronous":
            repeats = sum(self._readout_growth() ** step for step in range(self.integers.timesteps))
        return self.network.sent(layer, u) * (scale * repeats)

    def potential(self, layer: FloatLayer, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Potentials of a time step [N, O, H', W'], or of the phase, by the integer weights on activations as they are.

        Activations count in what a code stands for, without being rounded to one. Of a sequence both are [N, T, ...],
        without what the time steps before add.
        """
        network, source = self.integers, self.integers.inputs[0]
        population = network.source(layer.name)
        assert isinstance(population, Population)
        neuron = population.neuron
        start = neuron.initial if network.schedule == "two-phase" else neuron.drive
        further = _further(network)  # their activations are their first one's
        total = torch.zeros(()) if start is None else per_neuron(network, layer.name, start, torch.float64)
        for item in network.incoming(layer.name):
            if network.recurrent(item) or item.source in further:
                continue
            if item.source in network.provenance.worths:
                x = values[item.source]
                x = x / column(np.array(network.provenance.worths[item.source]), x)
            else:  # the input, or a relay of it
                x = (values[INPUT] - source.zero) / source.scale
            part = propagate(item, weight_tensor(item, x.dtype), x.flatten(0, -4), layer.shape[0])
            total = total.to(x.dtype) + part.unflatten(0, x.shape[:-3])
        return total

    def _back(self, layer: FloatLayer) -> Back:
        """What a layer's spikes of one time step, for what they are worth, add to its potentials in the next."""
        network = self.integers
        own = next((item for item in network.incoming(layer.name) if network.recurrent(item)), None)
        if own is None:
            return None
        worth = np.array(network.provenance.worths[own.source])
        return lambda sent: propagate(own, weight_tensor(own, sent.dtype), sent / column(worth, sent), layer.shape[0])

    def _readout_growth(self) -> float:
        readout = self.integers.source(self.integers.readouts[0].population)
        assert isinstance(readout, Population)
        return readout.neuron.growth


def float_snn(network: FloatNetwork, integers: Network) -> FloatSNN:
    """The float twin of a network that was converted from a float network.

    Raises
    ------
    InvalidNetwork
        The network does not say what its potentials are worth, or was converted from another model.
    NotBuilt
        Its neurons are none that conversion makes.
    """
    _require_twins(network, integers)
    neurons: dict[str, Coding | Firing] = {}
    coarse: dict[str, Coding | Firing] = {}
    for layer in network.layers:
        population = integers.source(layer.name)
        assert isinstance(population, Population)
        if isinstance(population.neuron, Silent):
            continue
        units, worths = (
            np.array(table[layer.name]) for table in (integers.provenance.units, integers.provenance.worths)
        )
        if integers.schedule == "two-phase":
            several = 1 + len(integers.provenance.continued.get(layer.name, ()))
            neurons[layer.name], coarse[layer.name] = _coding(population, several, units, worths)
        else:
            theta = population.neuron.theta[0] / (2 * integers.timesteps)
            # of optimal conversion; that of a recurrent layer is in its thresholds
            shift = theta if integers.provenance.options.get("shift") and not network.sequence else None
            made = _firing(layer, population.neuron, units, worths, shift)
            neurons[layer.name], coarse[layer.name] = (replace(item, sequence=network.sequence > 0) for item in made)
    return FloatSNN(network, integers, neurons, coarse)


def _further(network: Network) -> set[str]:
    """Populations that go on where another one's codes end."""
    return {name for names in network.provenance.continued.values() for name in names}


def _require_twins(network: FloatNetwork, integers: Network) -> None:
    who = f"Network '{integers.name}'"
    named = [item.population for item in integers.readouts]
    shapes = {item.name: item.shape for item in integers.populations}
    provenance, source = integers.provenance, integers.inputs[0]
    fires = {item.name for item in integers.populations if isinstance(item.neuron, Neuron)}
    further = _further(integers)
    relays = shapes.keys() - provenance.units.keys() - further
    told = all(len(values) == shapes.get(name, (0,))[0] for name, values in provenance.units.items())
    told = told and provenance.worths.keys() == fires - relays - further
    told = told and provenance.continued.keys() <= provenance.worths.keys() and further <= fires
    told = told and len(further) == sum(map(len, provenance.continued.values()))  # each goes on where one other ends
    told = told and all(shapes[item] == shapes[name] for name, more in provenance.continued.items() for item in more)
    told = told and all(len(values) == shapes[name][0] for name, values in provenance.worths.items())
    heard = {item.source for name in relays for item in integers.incoming(name)}
    if not provenance.units or not told or heard - {source.name}:
        raise InvalidNetwork(
            f"{who}: must say what its potentials and codes are worth, as this version writes; convert the model again"
        )
    layers = {layer.name: layer.shape for layer in network.layers}
    converted = {name: shapes[name] for name in provenance.units}
    if layers != converted or list(network.readouts) != named or source.shape != network.input_shape:
        wrong = sorted(name for name in layers.keys() | converted.keys() if layers.get(name) != converted.get(name))
        where = f" ({len(wrong)} layers differ, the first is {shown(wrong[0])})" if wrong else ""
        raise InvalidNetwork(
            f"{who}: must be converted from model '{network.name}', not from another{where}; "
            "give the model that `spikeloom convert` was given"
        )


def _coding(population: Population, several: int, units: np.ndarray, worths: np.ndarray) -> tuple[Coding, Coding]:
    """Of `several` neurons for an activation, the first of them the population's."""
    neuron = population.neuron
    assert isinstance(neuron, Neuron)
    if neuron.signed or not neuron.divides:
        raise NotBuilt(
            f"Network: population '{population.name}': must have unsigned neurons of growth 1 or 2 to be analysed"
        )
    top = several * ((1 << neuron.timesteps) - 1 if neuron.growth == 2.0 else neuron.timesteps)
    step = neuron.theta[0] / (1 << (neuron.timesteps - 1) if neuron.growth == 2.0 else 1)
    rounding = np.rint(step / 2)  # as conversion adds it to the offsets; whole units
    return (
        Coding(step * units, rounding * units, worths, top),
        Coding(step, np.zeros_like(step), worths, top),
    )


def _firing(
    layer: FloatLayer, neuron: Neuron, units: np.ndarray, worths: np.ndarray, shift: np.ndarray | None
) -> tuple[Firing, Firing]:
    """Neurons in the model's units, and in units of potential with the drive left to `FloatSNN.potential`."""
    none = np.zeros(layer.shape[0])

    def row(vector: np.ndarray | None) -> np.ndarray | None:
        return None if vector is None else vector[0].astype(np.float64)

    theta = neuron.theta[0].astype(np.float64)
    raw = FloatNeuron(
        worths,
        theta,
        row(neuron.fire_pos),
        row(neuron.fire_neg),
        row(neuron.initial),
        growth=neuron.growth,
        reset_kind=neuron.reset_kind,
        signed=neuron.signed,
        reset_neg=row(neuron.reset_neg),
    )
    if neuron.step_gamma is None:
        scaled = _scaled(replace(raw, shift=shift), units)
        return Firing(scaled, neuron.timesteps, none), Firing(raw, neuron.timesteps, none)
    grain = theta / (1 << (neuron.step_bits - 1))
    gamma = neuron.step_gamma[0].astype(np.float64)
    # a code's worth is a whole grain's; half a grain of gamma rounds values that the float network does not round
    graded = replace(raw, gamma=gamma, worth=worths / grain)
    exact = _scaled(replace(graded, gamma=gamma - grain / 2, biased=False), units)
    exact = replace(exact, worth=worths / (grain * units))
    most = (1 << neuron.step_bits) - 1
    return (
        Firing(exact, neuron.timesteps, layer.bias.mean((1, 2))),
        Firing(graded, neuron.timesteps, none, grain, most),
    )


def _scaled(neuron: FloatNeuron, units: np.ndarray) -> FloatNeuron:
    """A neuron in units of potential, in the model's."""
    names = ("theta", "fire_pos", "fire_neg", "reset_neg", "initial", "shift", "gamma")
    vectors = {name: getattr(neuron, name) for name in names}
    return replace(neuron, **{name: value * units for name, value in vectors.items() if value is not None})


def column(vector: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """A vector [C] in the shape and dtype of values [N, C, H, W]."""
    return torch.from_numpy(np.asarray(vector, np.float64)).to(like.dtype).reshape(-1, 1, 1)
