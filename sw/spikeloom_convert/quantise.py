"""From floats to the integer line: the one place where anything is rounded.

Layer by layer, in order, each seeing the codes the quantised layers before it give on the calibration samples.
A channel's potential counts in units of s: u = s * V, with the source's step absorbed into the float weights first.
For growth 2 the code is y = floor(V * 2^(T-1) / theta), so theta = 2^(T-1) * step / s; for growth 1, theta = step / s.
A step of 2*half units makes theta a multiple of 2^T (growth 2) or even (growth 1), and V + half rounds exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from spikeloom.errors import InvalidNetwork
from spikeloom.geometry import Conv2d
from spikeloom.network import Connection, Input, Network, Population, Provenance, Readout
from spikeloom.neuron import Neuron, Silent, largest_code

from .calibrate import Rule, half_steps
from .float_network import FloatLayer, FloatNetwork, connect
from .rounding import covariances, round_weights, weight_scales
from .samples import bit_count

_CHUNK = 256  # samples that are propagated at a time
_MOST_VALUES = 8192  # activations a channel's threshold is chosen from
_FINEST = 1 << 13  # a step is at most so many units: finer weights would only widen the potentials
_FINEST_BIAS = 1 << 24  # a readout's bias is at most so many units, what float32 can tell apart


@dataclass(frozen=True)
class Settings:
    """What a quantised network shall be: T and growth of the hidden trains, bits of the weights, rule, seed."""

    timesteps: int
    weight_bits: int
    growth: float
    rule: Rule
    seed: int = 0

    @property
    def factor(self) -> int:
        """theta of a step of one unit: 2^(T-1) for growth 2, 1 for growth 1."""
        return 1 << (self.timesteps - 1) if self.growth == 2.0 else 1

    @property
    def top(self) -> int:
        """Largest code of a hidden train."""
        return largest_code(self.growth, self.timesteps)


@dataclass(frozen=True, eq=False)
class _Train:
    """A source on the calibration samples: codes [N, C, H, W], the step of each channel [C], their largest code."""

    codes: torch.Tensor
    steps: torch.Tensor
    top: int


def quantise(
    network: FloatNetwork,
    source: Input,
    codes: np.ndarray,
    values: np.ndarray,
    settings: Settings,
    *,
    name: str = "net",
    advance: Callable[[], None] = lambda: None,
) -> Network:
    """The spiking network of a float network.

    Parameters
    ----------
    network : FloatNetwork
    source : the input population.
    codes : [N, C, H, W], codes of the calibration samples.
    values : [N, C, H, W], the samples in the model's units.
    settings : Settings
    name : of the network.
    advance : called after every layer.

    Raises
    ------
    InvalidNetwork
        Where no integers of the asked widths stand for the network.
    """
    train = _Train(torch.from_numpy(codes).double(), torch.full((source.shape[0],), source.scale).double(),
                   largest_code(source.growth, source.timesteps))  # fmt: skip
    x = torch.from_numpy(values).double()
    populations, connections = [], []
    notes: list[str] = []
    scale, before = 1.0, source.name
    with torch.no_grad():
        for layer in network.layers:
            drive = torch.cat([layer.drive(part) for part in x.split(_CHUNK)])
            quantised = _Quantiser(layer, train, settings).run(drive)
            populations.append(Population(layer.name, layer.shape, quantised.neuron, quantised.activity))
            weights = quantised.weights.numpy().astype(np.int8).reshape(layer.weights.shape)
            connections.append(
                Connection(layer.name, before, layer.name, layer.geometry, weights, settings.weight_bits)
            )
            notes += quantised.notes
            before = layer.name
            if quantised.train is None:
                scale = quantised.scale
                break
            train, x = quantised.train, layer.activate(drive)
            advance()
    advance()
    provenance = Provenance(model=network.name, notes=(*network.notes, *notes))
    readout = Readout(before, scale)
    return Network(name, (source,), tuple(populations), tuple(connections), (readout,), provenance=provenance)


@dataclass(frozen=True, eq=False)
class _Quantised:
    """What one layer becomes: integer weights [O, n], neuron, activity; the train it sends, or its readout scale."""

    weights: torch.Tensor
    neuron: Neuron | Silent
    activity: float
    train: _Train | None
    scale: float
    notes: tuple[str, ...]


class _Quantiser:
    """One layer on its way to integers."""

    def __init__(self, layer: FloatLayer, train: _Train, settings: Settings) -> None:
        self.layer, self.train, self.settings = layer, train, settings
        self.largest = (1 << (settings.weight_bits - 1)) - 1

    def run(self, drive: torch.Tensor) -> _Quantised:
        """Quantise; drive [N, O, H', W'] is what the trained model has as u on the same samples."""
        layer = self.layer
        weights = self._absorbed()
        blocks = covariances(layer, self.train.codes, self.settings.seed)
        scales = weight_scales(weights, blocks, self.largest, shared=not layer.fires)
        scales = self._firing_scales(scales, drive) if layer.fires else self._readout_scale(scales)
        rounded = round_weights(weights, scales, blocks, self.largest)
        shaped = rounded.reshape(layer.weights.shape)
        potential = torch.cat([connect(layer.geometry, shaped, part) for part in self.train.codes.split(_CHUNK)])
        # the bias that makes up, on average, for all rounding so far
        bias = (drive / _channels(scales) - potential).mean((0, 2, 3)).round()
        if not layer.fires:
            initial = bias.numpy().astype(np.int64)[None]
            return _Quantised(rounded, Silent(initial), 0.0, None, float(scales[0]), ())
        return self._fire(rounded, potential.add_(_channels(bias)), bias, scales, layer.activate(drive))

    def _absorbed(self) -> torch.Tensor:
        """Float weights [O, n] on the *codes* of the source: its steps and 1/window are absorbed."""
        layer, steps = self.layer, self.train.steps
        weights = torch.from_numpy(layer.weights) / layer.window
        if isinstance(layer.geometry, Conv2d):
            groups, width = layer.geometry.groups, weights.shape[1]
            channel = torch.arange(groups).repeat_interleave(len(weights) // groups)[:, None] * width + torch.arange(
                width
            )
            return (weights * steps[channel][:, :, None, None]).flatten(1)
        return weights * steps.repeat_interleave(weights.shape[1] // len(steps))

    def _reach(self, drive: torch.Tensor) -> torch.Tensor:
        """Largest activation of every channel, [O]; where it never fired the layer's, and 1 where none did."""
        reach = self.layer.activate(drive).amax((0, 2, 3))
        layer = float(reach.max()) or float(drive.abs().max()) or 1.0
        return torch.where(reach > 0, reach, layer)

    def _firing_scales(self, scales: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        top, clip = self.settings.top, self.layer.clip
        scales = torch.maximum(scales, self._reach(drive) / top / _FINEST)
        if clip is None:
            return scales
        # the top code shall mean the clip itself: a whole number of units makes half of clip / top
        limit = clip / top
        scales = scales.clamp(max=limit * self.settings.factor)  # theta is at least 1
        return torch.where(scales * 2 <= limit, limit / (2 * (limit / (2 * scales)).floor().clamp(min=1)), scales)

    def _readout_scale(self, scales: torch.Tensor) -> torch.Tensor:
        bias = float(np.abs(self.layer.bias).max())
        return scales.clamp(min=bias / _FINEST_BIAS) if float(scales[0]) or bias else torch.ones_like(scales)

    def _fire(
        self,
        weights: torch.Tensor,
        potential: torch.Tensor,
        bias: torch.Tensor,
        scales: torch.Tensor,
        activation: torch.Tensor,
    ) -> _Quantised:
        settings, layer = self.settings, self.layer
        values, targets = _sampled(potential, activation, settings.seed)
        limit = None if layer.clip is None else layer.clip / settings.top
        most = None if limit is None else (limit / (2 * scales) * (1 + 1e-9)).floor().clamp(min=1)
        half = half_steps(values, targets, scales, settings.top, settings.rule, most)
        theta = 2 * half * settings.factor
        notes = []
        if limit is not None and bool((over := 2 * half * scales > limit * (1 + 1e-6)).any()):
            # units coarser than the clip allows: theta follows the clip, and rounding is no longer exact
            fine = (limit * settings.factor / scales * (1 + 1e-9)).floor().clamp(min=1)
            theta = torch.where(over, fine, theta)
            half = torch.where(over, (fine / (2 * settings.factor)).round(), half)
            wrong = float((fine / (2 * settings.factor) - half)[over].abs().max())
            notes.append(f"{layer.where}: {int(over.sum())} thresholds round with an error of up to {wrong:.2g} units")
        initial = self._bounded(bias + half, weights, theta)
        total = potential.add_(_channels(initial - bias))
        codes = (total * settings.factor / _channels(theta)).floor().clamp(0, settings.top)
        counts = bit_count(codes.numpy()) if settings.growth == 2.0 else codes.numpy()
        neuron = Neuron(settings.timesteps, settings.growth, _vector(theta), _vector(initial))
        train = _Train(codes, theta * scales / settings.factor, settings.top)
        return _Quantised(weights, neuron, float(counts.sum() / len(codes)), train, 1.0, tuple(notes))

    def _bounded(self, initial: torch.Tensor, weights: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Initial potentials drawn in to where they already decide alone, always silent or always full: same codes."""
        largest = self.train.top * self.layer.window
        ceiling = 2 if self.settings.growth > 1 else max(2, self.settings.timesteps)
        silent = -weights.clamp(min=0).sum(1) * largest - 1
        full = -weights.clamp(max=0).sum(1) * largest + ceiling * theta
        return torch.minimum(torch.maximum(initial, silent), full)


def _channels(values: torch.Tensor) -> torch.Tensor:
    return values.reshape(1, -1, 1, 1)


def _vector(values: torch.Tensor) -> np.ndarray:
    """int64 [1, C]."""
    if not bool(torch.isfinite(values).all()) or float(values.abs().max()) >= 2.0**62:
        raise InvalidNetwork("Quantise: thresholds and biases must be finite and below 2^62; check the model's weights")
    return values.round().numpy().astype(np.int64)[None]


def _sampled(potential: torch.Tensor, activation: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same random part of both as [C, M]."""
    values, targets = (item.transpose(0, 1).flatten(1) for item in (potential, activation))
    if values.shape[1] > _MOST_VALUES:
        keep = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(seed))[:_MOST_VALUES]
        values, targets = values[:, keep], targets[:, keep]
    return values, targets
