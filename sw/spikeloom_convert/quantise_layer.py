"""One layer on its way to integers: weights, biases, thresholds.

A channel's potential V counts in units of s: u = s * V, with the source's step absorbed into the float weights first.
For growth 2 the code is y = floor(V * 2^(T-1) / theta), so theta = 2^(T-1) * step / s; for growth 1, theta = step / s.
A step of 2*half units makes theta a multiple of 2^T (growth 2) or even (growth 1), and V + half rounds exactly.
"""

from dataclasses import dataclass

import numpy as np
import torch
from spikeloom.encoding import event_counts
from spikeloom.errors import InvalidNetwork
from spikeloom.geometry import Conv2d
from spikeloom.neuron import Neuron, Silent, largest_code

from .calibrate import Rule, half_steps
from .float_network import FloatLayer, connect
from .rounding import Columns, covariances, round_weights, weight_scales

_CHUNK = 256  # samples that are propagated at a time
_MOST_VALUES = 8192  # activations a channel's threshold is chosen from
_FINEST = 1 << 13  # a step is at most so many units: finer weights would only widen the potentials
_FINEST_BIAS = 1 << 24  # a readout's bias is at most so many units, what float32 can tell apart
_EXACT_FLOAT32 = 1 << 24


@dataclass(frozen=True)
class Settings:
    """What a quantised network shall be: T, growth and code of the hidden trains, bits of the weights, rule, seed."""

    timesteps: int
    weight_bits: int
    growth: float
    rule: Rule
    seed: int = 0
    code: str = "plain"

    @property
    def factor(self) -> int:
        """theta of a step of one unit: 2^(T-1) for growth 2, 1 for growth 1."""
        return 1 << (self.timesteps - 1) if self.growth == 2.0 else 1

    @property
    def top(self) -> int:
        """Largest code of a hidden train."""
        return largest_code(self.growth, self.timesteps)

    @property
    def largest_weight(self) -> int:
        """Largest symmetric integer of `weight_bits` bits."""
        return (1 << (self.weight_bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class Train:
    """A source on the calibration samples: codes float [N, C, H, W], step of each channel float64 [C], largest code."""

    codes: torch.Tensor
    steps: torch.Tensor
    top: int


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """What a layer becomes.

    Members
    -------
    weights : integers, float64 [O, n].
    neuron, activity : of its population.
    train : what it sends on the calibration samples, empty for a readout.
    scale : of a readout's potentials.
    notes : what could not be exact.
    """

    weights: torch.Tensor
    neuron: Neuron | Silent
    activity: float
    train: Train
    scale: float
    notes: tuple[str, ...] = ()


def quantise_layer(layer: FloatLayer, train: Train, drive: torch.Tensor, settings: Settings) -> QuantisedLayer:
    """Round a layer.

    Parameters
    ----------
    layer : FloatLayer
    train : what its source sends on the calibration samples.
    drive : [N, O, H', W'], what the trained model has as u on the same samples; biases and thresholds aim at it.
    settings : Settings

    Raises
    ------
    InvalidNetwork
        Weights that do not give finite integers.
    """
    absorbed = absorbed_weights(layer, train.steps)
    blocks = covariances(layer, train.codes, settings.seed)
    scales = _scales(layer, absorbed, blocks, drive, settings)
    weights = round_weights(absorbed, scales, blocks, settings.largest_weight)
    potential = _potential(layer, train, weights)
    # the bias that makes up, on average, for all rounding so far
    bias = (_mean(drive) / scales - _mean(potential)).round()
    if not layer.fires:
        nothing = Train(torch.empty(0), torch.empty(0), 0)
        return QuantisedLayer(weights, Silent(_vector(layer, bias)), 0.0, nothing, float(scales[0]))
    return _fire(layer, train, weights, scales, bias, potential, drive, settings)


def absorbed_weights(layer: FloatLayer, steps: torch.Tensor) -> torch.Tensor:
    """Float weights [O, n] on the *codes* of the source: its steps [C] and 1/window are absorbed."""
    weights = torch.from_numpy(layer.weights) / layer.window
    if not isinstance(layer.geometry, Conv2d):
        return weights * steps.repeat_interleave(weights.shape[1] // len(steps))
    groups, width = layer.geometry.groups, weights.shape[1]
    first = torch.arange(groups).repeat_interleave(len(weights) // groups) * width
    channel = first[:, None] + torch.arange(width)
    return (weights * steps[channel][:, :, None, None]).flatten(1)


def _scales(
    layer: FloatLayer, absorbed: torch.Tensor, blocks: list[Columns], drive: torch.Tensor, settings: Settings
) -> torch.Tensor:
    """Value s of one unit of potential, for every channel; the same for all in a readout."""
    scales = weight_scales(absorbed, blocks, settings.largest_weight, shared=not layer.fires)
    if not layer.fires:
        return _readout_scales(layer, scales, drive)
    scales = torch.maximum(scales, _reach(layer, drive, settings.rule) / (settings.top * _FINEST))
    if layer.clip is None:
        return scales
    # the top code shall mean the clip itself: a whole number of units makes half of clip / top
    limit = layer.clip / settings.top
    scales = scales.clamp(max=limit * settings.factor)  # theta is at least 1
    units = (limit / (2 * scales)).floor()
    return torch.where(units >= 1, limit / (2 * units), scales)


def _readout_scales(layer: FloatLayer, scales: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
    """The scale of a readout, coarse enough for its biases but not so coarse that outputs no longer vary."""
    offset = drive.flatten(2).double().abs().amax((0, 2))
    coarse = float(offset.max()) / _FINEST_BIAS
    if not float(scales[0]):  # no weights at all
        return torch.full_like(scales, coarse or 1.0)
    if coarse > float(scales[0]):
        spread = drive.transpose(0, 1).flatten(1).double().std(1, correction=0)
        lost = (spread < 16 * coarse) & (spread > offset / _FINEST_BIAS)  # float32 itself loses what is smaller
        if bool(lost.any()):
            raise InvalidNetwork(
                f"{layer.where}: biases must not drown what the outputs say, not {float(offset.max()):.3g} against "
                f"{float(spread[lost].max()):.3g}; rescale the layer"
            )
    return scales.clamp(min=coarse)


def _reach(layer: FloatLayer, drive: torch.Tensor, rule: Rule) -> torch.Tensor:
    """Largest activation, float64 [O], of each channel or of the layer, as the rule says.

    A channel that was never active takes its layer's; a layer that never was, how far its drive goes up and down.
    """
    reach = drive.amax((0, 2, 3)).double().clamp(min=0.0, max=layer.clip)
    largest = float(reach.max()) or float((drive - drive[:1]).abs().max()) or 1.0
    return torch.where((reach > 0) & rule.per_channel, reach, largest)


def _potential(layer: FloatLayer, train: Train, weights: torch.Tensor) -> torch.Tensor:
    """Weighted sums of the codes [N, O, H', W'], exact, in float32 where that can hold them."""
    largest = float(weights.abs().sum(1).max()) * train.top * layer.window
    dtype = torch.float32 if largest < _EXACT_FLOAT32 else torch.float64
    shaped = weights.reshape(layer.weights.shape).to(dtype)
    potential = torch.empty((len(train.codes), *layer.shape), dtype=dtype)
    for codes, part in zip(train.codes.split(_CHUNK), potential.split(_CHUNK), strict=True):
        part.copy_(connect(layer.geometry, shaped, codes.to(dtype)))
    return potential


def _fire(
    layer: FloatLayer,
    train: Train,
    weights: torch.Tensor,
    scales: torch.Tensor,
    bias: torch.Tensor,
    potential: torch.Tensor,
    drive: torch.Tensor,
    settings: Settings,
) -> QuantisedLayer:
    values, targets = _sampled(potential, drive, settings.seed)
    values, targets = values + bias[:, None], layer.activate(targets)
    limit = None if layer.clip is None else layer.clip / settings.top
    most = None if limit is None else (limit / (2 * scales) * (1 + 1e-9)).floor().clamp(min=1)
    half = half_steps(values, targets, scales, settings.top, settings.rule, most)
    theta, notes = 2 * half * settings.factor, []
    if limit is not None and bool((coarse := 2 * half * scales > limit * (1 + 1e-6)).any()):
        # units coarser than the clip allows: theta follows the clip, and rounding is no longer exact
        fine = (limit * settings.factor / scales * (1 + 1e-9)).floor().clamp(min=1)
        exact = fine / (2 * settings.factor)
        wrong = float((exact - exact.round())[coarse].abs().max())
        notes.append(f"{layer.where}: {int(coarse.sum())} channels round with an error of up to {wrong:.2g} units")
        theta, half = torch.where(coarse, fine, theta), torch.where(coarse, exact.round(), half)
    initial = _bounded(bias + half, weights, theta, train.top * layer.window, settings)
    divisor = theta / settings.factor
    # float32 finds the floor of a quotient of whole numbers below 2^24, but no other
    total = potential if bool((divisor == divisor.round()).all()) else potential.double()
    steps = total.add_(_channels(initial, total)).div_(_channels(divisor, total))
    codes = steps.floor_().clamp_(0, settings.top).float()
    spikes = event_counts(codes.numpy(), settings.code) if settings.growth == 2.0 else codes.numpy()
    activity = float(spikes.sum(dtype=np.float64) / len(codes))
    vectors = _vector(layer, theta), _vector(layer, initial)
    neuron = Neuron(settings.timesteps, settings.growth, *vectors, code=settings.code)
    sent = Train(codes, theta * scales / settings.factor, settings.top)
    return QuantisedLayer(weights, neuron, activity, sent, 1.0, tuple(notes))


def _bounded(
    initial: torch.Tensor, weights: torch.Tensor, theta: torch.Tensor, largest: int, settings: Settings
) -> torch.Tensor:
    """Initial potentials drawn in to where they decide alone, always silent or always full: the codes stay the same.

    `largest`: largest sum of codes in a pooling window of the source.
    """
    ceiling = 2 if settings.growth > 1 else max(2, settings.timesteps)
    silent = -weights.clamp(min=0).sum(1) * largest - 1
    full = -weights.clamp(max=0).sum(1) * largest + ceiling * theta
    return torch.minimum(torch.maximum(initial, silent), full)


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Mean of every channel, float64 [C]."""
    return values.flatten(2).mean(2).mean(0, dtype=torch.float64)


def _channels(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """[C] as [1, C, 1, 1], in the dtype of `like`."""
    return values.reshape(1, -1, 1, 1).to(like.dtype)


def _vector(layer: FloatLayer, values: torch.Tensor) -> np.ndarray:
    """Integers int64 [1, C]."""
    if not bool(torch.isfinite(values).all()) or float(values.abs().max()) >= 2.0**62:
        raise InvalidNetwork(f"{layer.where}: weights and biases must give potentials of at most 48 bits; rescale them")
    return values.round().numpy().astype(np.int64)[None]


def _sampled(potential: torch.Tensor, drive: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same random part of both, float64 [C, M]."""
    samples, _, height, width = potential.shape
    generator = torch.Generator().manual_seed(seed)
    keep = torch.randperm(samples * height * width, generator=generator)[:_MOST_VALUES]
    sample, place = keep // (height * width), keep % (height * width)
    values, targets = (item.flatten(2)[sample, :, place].T.double() for item in (potential, drive))
    return values, targets
