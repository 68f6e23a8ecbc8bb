"""From a spiking network in floats to the integer line: the synchronous schedule.

A channel's potential V counts in units of s: u = s * V in every time step. The weights of a row are rounded to a scale
of their own; the unit is finer than that by a shift, until theta is the multiple of units that its method asks for and
fine enough for drives to be added T times.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from spikeloom.geometry import Shape
from spikeloom.network import Connection, Input, Network, Population, Provenance, Readout
from spikeloom.neuron import Neuron, Silent

from ..float_network import FloatLayer
from ..spiking import FloatNeuron, SpikingNetwork, averages, largest
from .calibrate import Rule, half_steps
from .quantise import figures, wired
from .quantise_layer import layer_offsets, sampled, vectors
from .synapses import DIAGONAL_BITS, Part, Rounded, Train, common_scales, parts_of, potentials, rounded

_MOST_SHIFT = 15
_LEAST_UNITS = 64  # of theta, and 16 for every time step: what a drive loses by rounding adds up over all of them
_GRADED_UNITS = 4  # of the least value that a graded spike tells apart
_READOUT_SHIFT = 4


@dataclass(frozen=True)
class Widths:
    """Bits of the weights and seed of the places that they are rounded by."""

    weight_bits: int
    seed: int = 0

    @property
    def largest_weight(self) -> int:
        """Largest symmetric integer of `weight_bits` bits."""
        return (1 << (self.weight_bits - 1)) - 1


def quantise_spiking(
    spiking: SpikingNetwork,
    source: Input,
    codes: np.ndarray,
    widths: Widths,
    *,
    name: str = "net",
    advance: Callable[[], None] = lambda: None,
) -> Network:
    """The synchronous network of integers.

    Parameters
    ----------
    spiking : SpikingNetwork
    source : the input population; its codes are accumulated once and injected in every time step.
    codes : [N, C, H, W], codes of the calibration samples, or [N, T, C, H, W] of sequences.
    widths : Widths
    name : of the network.
    advance : called after every layer.

    Raises
    ------
    InvalidNetwork
        Where no integers of the asked widths stand for the network.
    """
    network, heard = spiking.network, torch.from_numpy(codes)
    steps = torch.full((source.shape[0],), source.scale, dtype=torch.float64)
    top = (1 << source.timesteps) - 1
    seen = heard * source.scale + source.zero
    sent = averages(spiking, seen)
    graded = any(neuron.gamma is not None for neuron in spiking.neurons.values())
    peaks = largest(spiking, seen) if graded and spiking.timesteps > 1 else sent
    trains = {source.name: Train(heard.mean(1) if source.sequence else heard, steps, top, source.zero)}
    populations: list[Population] = []
    connections: list[Connection] = []
    scales: dict[str, float] = {}
    units: dict[str, tuple[float, ...]] = {}
    worths: dict[str, tuple[float, ...]] = {}
    with torch.no_grad():
        for layer in network.layers:
            if layer.lateral is not None:  # what it sends is heard by itself, too
                worth = torch.from_numpy(spiking.neurons[layer.name].worth)
                trains[layer.name] = Train(sent[layer.name], worth, 1)
                layer = replace(layer, incoming=(*layer.incoming, layer.lateral))
            shapes = {item.source: network.shape(item.source) for item in layer.incoming}
            parts = parts_of(layer, trains, widths.seed)
            if layer.fires:
                made = _fire(layer, parts, shapes, trains, (sent[layer.name], peaks[layer.name]), spiking, widths)
            else:
                made = _read(layer, parts, shapes, trains, spiking, widths)
                scales[layer.name] = float(made.units[0]) / sum(
                    spiking.readout_growth**step for step in range(spiking.timesteps)
                )
            units[layer.name], activity = figures(made.units), 0.0
            if made.train is not None:
                trains[layer.name], worths[layer.name] = made.train, figures(made.train.steps)
                bits = isinstance(made.neuron, Neuron) and made.neuron.step_bits
                spikes = float(_ones(made.train.codes.round()).sum() if bits else sent[layer.name].abs().sum())
                activity = spikes * spiking.timesteps / len(codes)
            populations.append(Population(layer.name, layer.shape, made.neuron, activity))
            connections += wired(network, layer, made.items, connections)
            advance()
    readouts = tuple(Readout(readout, scales[readout]) for readout in network.readouts)
    provenance = Provenance(model=network.name, notes=network.notes, units=units, worths=worths)
    return Network(name, (source,), tuple(populations), tuple(connections), readouts, "synchronous", provenance)


@dataclass(frozen=True, eq=False)
class _Quantised:
    """A layer in integers; `units` is the value of one unit of potential, [C]."""

    neuron: Neuron | Silent
    units: torch.Tensor
    train: Train | None
    items: list[Rounded]


def _fire(
    layer: FloatLayer,
    parts: list[Part],
    shapes: Mapping[str, Shape],
    trains: Mapping[str, Train],
    sent: tuple[torch.Tensor, torch.Tensor],
    spiking: SpikingNetwork,
    widths: Widths,
) -> _Quantised:
    neuron = spiking.neurons[layer.name]
    scales, shifts = common_scales(parts, layer.shape[0], widths.largest_weight, shared=False)
    if neuron.gamma is not None:
        return _fire_graded(layer, neuron, parts, shapes, trains, sent, (scales, shifts), spiking, widths)
    theta = torch.from_numpy(neuron.theta)
    least = max(_LEAST_UNITS, 16 * spiking.timesteps)
    units, finer = _whole(theta, scales, least, neuron.multiple)
    unit = theta / units
    items = rounded(parts, unit, _shifts(parts, unit, [shift + finer for shift in shifts]), widths.weight_bits)
    drive = _drive(layer, items, unit, shapes, trains, neuron)
    if neuron.shift is not None:
        drive = drive + np.rint(neuron.shift / unit.numpy()).astype(np.int64)

    def whole(value: np.ndarray | None) -> np.ndarray | None:
        return None if value is None else vectors(layer, torch.from_numpy(value)[None] / unit)

    initial = whole(neuron.initial)
    made = Neuron(
        spiking.timesteps,
        neuron.growth,
        vectors(layer, units[None]),
        np.zeros((1, layer.shape[0]), np.int64) if initial is None else initial,
        fire_pos=whole(neuron.fire_pos),
        fire_neg=whole(neuron.fire_neg),
        drive=drive,
        reset_neg=whole(neuron.reset_neg),
        reset_kind=neuron.reset_kind,
        signed=neuron.signed,
    )
    return _Quantised(made, unit, Train(sent[0], torch.from_numpy(neuron.worth), 1), items)


def _fire_graded(
    layer: FloatLayer,
    neuron: FloatNeuron,
    parts: list[Part],
    shapes: Mapping[str, Shape],
    trains: Mapping[str, Train],
    sent: tuple[torch.Tensor, torch.Tensor],
    scaling: tuple[torch.Tensor, list[int]],
    spiking: SpikingNetwork,
    widths: Widths,
) -> _Quantised:
    """A population of graded spikes: a value is sent in steps of `size` units, rounded, at most 2^bits - 1 of them.

    `sent`: the mean spike of a time step, and the largest of each neuron, which the bits have to reach.
    """
    assert neuron.gamma is not None
    assert neuron.fire_pos is not None
    scales, shifts = scaling
    top = (1 << neuron.spike_bits) - 1
    mean, peak = sent
    clipped = math.isfinite(neuron.most)
    reach = neuron.most if clipped else float(peak.max()) or 1.0
    finer = 0
    while finer < _MOST_SHIFT and bool((reach / top < _GRADED_UNITS * scales / 2**finer).any()):
        finer += 1
    unit = torch.where(scales > 0, scales, reach / top) / 2**finer
    values = sampled(peak, torch.zeros(layer.shape[0], 1, 1), peak, widths.seed)[0]
    if not clipped:
        half = half_steps(values / unit[:, None], values, unit, top, Rule(per_channel=True, power=2))
    else:  # the top code shall mean the clip: the unit is a little coarser
        half = (reach / top / (2 * unit)).floor().clamp(min=1)
        unit = reach / top / (2 * half)
    size = 2 * half
    items = rounded(parts, unit, _shifts(parts, unit, [shift + finer for shift in shifts]), widths.weight_bits)
    fire = torch.from_numpy(neuron.fire_pos) / unit
    gamma = torch.from_numpy(neuron.gamma) / unit + half  # half a step of rounding
    made = Neuron(
        spiking.timesteps,
        neuron.growth,
        vectors(layer, (size * 2 ** (neuron.spike_bits - 1))[None]),
        np.zeros((1, layer.shape[0]), np.int64),
        fire_pos=vectors(layer, fire[None]),
        drive=_drive(layer, items, unit, shapes, trains, neuron),
        reset_kind=neuron.reset_kind,
        step_gamma=vectors(layer, gamma[None]),
        step_bits=neuron.spike_bits,
    )
    worth = size * unit * torch.from_numpy(neuron.worth)
    codes = mean / (size * unit)[:, None, None].float()
    return _Quantised(made, unit, Train(codes, worth, top), items)


def _read(
    layer: FloatLayer,
    parts: list[Part],
    shapes: Mapping[str, Shape],
    trains: Mapping[str, Train],
    spiking: SpikingNetwork,
    widths: Widths,
) -> _Quantised:
    """A readout, whose unit is finer than its weights, as its drive is added in every time step."""
    scales, shifts = common_scales(parts, layer.shape[0], widths.largest_weight, shared=True)
    unit = torch.where(scales > 0, scales, 1.0) / 2**_READOUT_SHIFT
    items = rounded(parts, unit, _shifts(parts, unit, [shift + _READOUT_SHIFT for shift in shifts]), widths.weight_bits)
    drive = _drive(layer, items, unit, shapes, trains, None)
    neuron = Silent(np.zeros((1, layer.shape[0]), np.int64), drive, spiking.readout_growth)
    return _Quantised(neuron, unit, None, items)


def _whole(theta: torch.Tensor, scales: torch.Tensor, least: int, multiple: int) -> tuple[torch.Tensor, int]:
    """Theta in units, whole multiples [C], and how many times the unit is half of what the weights are rounded to.

    A channel without weights takes the least theta.
    """
    weighted = scales > 0
    finer = 0
    while finer < _MOST_SHIFT and bool((theta[weighted] * 2**finer < least * scales[weighted]).any()):
        finer += 1
    wanted = torch.where(weighted, theta * 2**finer / scales.clamp(min=1e-300), float(least))
    return (wanted / multiple).round().clamp(min=1) * multiple, finer


def _shifts(parts: list[Part], unit: torch.Tensor, shifts: list[int]) -> list[int]:
    """The shifts, those of diagonal connections so that their weights take all their bits."""
    top, found = (1 << (DIAGONAL_BITS - 1)) - 1, []
    for part, shift in zip(parts, shifts, strict=True):
        if part.diagonal is not None:
            largest = float((part.weights.abs() / unit[part.reached()]).max())
            shift = max(0, int(np.ceil(np.log2(max(largest / top, 1.0)))))
        found.append(min(shift, _MOST_SHIFT))
    return found


def _drive(
    layer: FloatLayer,
    items: list[Rounded],
    unit: torch.Tensor,
    shapes: Mapping[str, Shape],
    trains: Mapping[str, Train],
    neuron: FloatNeuron | None,
) -> np.ndarray:
    """Bias, what code 0 of the input stands for, and what makes up for the rounding of weights on average; [B, C]."""
    if neuron is not None and not neuron.biased:
        layer = replace(layer, bias=layer.bias - layer.bias.mean((1, 2), keepdims=True))
    values, places = layer_offsets(layer, shapes, trains)
    exact = replace(layer, bias=np.zeros((layer.shape[0], 1, 1)))
    heard = {
        name: train.codes * train.steps[:, None, None].float()
        for name, train in trains.items()
        if any(item.source == name for item in layer.incoming)
    }
    missing = _mean(exact.drive(heard)) / unit - _mean(potentials(layer, items))
    drive = (torch.from_numpy(values) / unit[:, None, None] + missing[:, None, None]).round()
    return vectors(layer, drive[:, places[0][:, None], places[1]].flatten(1).T)


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.flatten(2).mean(2).mean(0, dtype=torch.float64)


def _ones(codes: torch.Tensor) -> torch.Tensor:
    """Ones in the binary numbers of codes, which are whole."""
    whole, total = codes.to(torch.int64), torch.zeros_like(codes)
    for bit in range(16):
        total += (whole >> bit) & 1
    return total
