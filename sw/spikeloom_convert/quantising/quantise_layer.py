"""One layer on its way to integers: weights, biases, thresholds.

A channel's potential V counts in units of s: u = s * V, with the source's step absorbed into the float weights first.
For growth 2 the code is y = floor(V * 2^(T-1) / theta), so theta = 2^(T-1) * step / s; for growth 1, theta = step / s.
A step of 2*half units makes theta a multiple of 2^T (growth 2) or even (growth 1), and V + half rounds exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from spikeloom.encoding import event_counts
from spikeloom.errors import InvalidNetwork
from spikeloom.geometry import Conv2d, Diagonal, Shape, border_classes
from spikeloom.neuron import Neuron, Silent, growth_shift

from ..float_network import FloatLayer, edges
from ..response import Levels
from .calibrate import Rule, half_steps, least_squares, worth
from .stepwise import growth_loss, largest_value, rounding, stepwise_codes, thresholds
from .synapses import Part, Rounded, Train, common_scales, fitted_to_diagonals, parts_of, potentials, rounded

_MOST_VALUES = 1 << 16  # activations a channel's threshold is chosen from
_FINEST = 1 << 10  # a step is at most so many units: finer weights would only widen the potentials
_DISTURBING = 1e-3  # of the variance of a readout's outputs: what rounding its weights may add to narrow it,
_LEVELS = 8.0  # but no more than levels do, about so many over their number squared,
_EXACT = 2e-5  # or than this
_MARGIN = 1.07  # of a readout's potentials: rounded weights and biases reach a little further than real ones
_FINEST_BIAS = 1 << 24  # a readout's bias is at most so many units, what float32 can tell apart


@dataclass(frozen=True)
class Settings:
    """What a quantised network shall be: T, growth and code of the hidden trains, bits of the weights, rule, seed.

    `own_timesteps`: name and T of the layers that do not have the T of all; `own_neurons`: name and neurons of each
    activation of those that have several, see `several`.
    """

    timesteps: int
    weight_bits: int
    growth: float
    rule: Rule
    seed: int = 0
    code: str = "plain"
    own_timesteps: tuple[tuple[str, int], ...] = ()
    own_neurons: tuple[tuple[str, int], ...] = ()
    neurons: int = 1

    def of(self, layer: str) -> "Settings":
        """What one layer shall be."""
        timesteps = dict(self.own_timesteps).get(layer, self.timesteps)
        return replace(self, timesteps=timesteps, neurons=dict(self.own_neurons).get(layer, self.neurons))

    @property
    def factor(self) -> int:
        """theta of a step of one unit: 2^(T-1) for growth 2, 1 for growth 1."""
        return 1 << (self.timesteps - 1) if self.growth == 2.0 else 1

    @property
    def top(self) -> float:
        """Largest code of an activation: sum over t of k^(T-t), whole for growth 1 and 2, of all its neurons."""
        return largest_value(self.growth, self.timesteps) * self.neurons

    @property
    def largest_weight(self) -> int:
        """Largest symmetric integer of `weight_bits` bits."""
        return (1 << (self.weight_bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """What a layer becomes.

    Members
    -------
    connections : in the layer's order.
    neuron : of its population; of several neurons for an activation, the one that is first to fire.
    activity : of its population, where it is the only one of its activations.
    train : what it sends on the calibration samples, of several neurons together; None for a readout.
    scale : of a readout's potentials.
    units : value of one unit of potential of every channel, float64 [O].
    notes : what could not be exact.
    """

    connections: list[Rounded]
    neuron: Neuron | Silent
    activity: float
    train: Train | None
    scale: float
    units: torch.Tensor
    notes: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """Largest potential that its width has to hold, as far as the connections say."""
        neuron = self.neuron
        ceiling = float(neuron.theta.max()) * neuron.ceiling if isinstance(neuron, Neuron) else 0.0
        return max(
            ceiling,
            sum(float(torch.maximum(-low, high).max()) for low, high in (item.reach for item in self.connections)),
        )


@dataclass(frozen=True, eq=False)
class _Sums:
    """What the rounded connections of a layer give on the calibration samples, before its neurons are chosen.

    Members
    -------
    connections : Rounded
    scales : value of one unit of potential, float64 [O].
    offset : what potentials begin with, whole numbers [O, 1, 1] or [O, H', W'].
    places : a row and a column of every border class.
    potential : sums of the weighted codes [N, O, H', W'].
    drive : what the trained model has instead, [N, O, H', W'].
    """

    connections: list[Rounded]
    scales: torch.Tensor
    offset: torch.Tensor
    places: tuple[np.ndarray, np.ndarray]
    potential: torch.Tensor
    drive: torch.Tensor

    def by_class(self, values: torch.Tensor) -> torch.Tensor:
        """Values [O, H', W'] of every border class, [B, O]."""
        return values[:, self.places[0][:, None], self.places[1]].flatten(1).T


def quantise_layer(
    layer: FloatLayer,
    shapes: Mapping[str, Shape],
    trains: Mapping[str, Train],
    drive: torch.Tensor,
    settings: Settings,
    widest: float = np.inf,
) -> QuantisedLayer:
    """Round a layer.

    Parameters
    ----------
    layer : FloatLayer
    shapes : of its sources.
    trains : what its sources send on the calibration samples.
    drive : [N, O, H', W'], what the trained model has as u on the same samples; biases and thresholds aim at it.
    settings : Settings
    widest : a readout's potentials should not be larger than this, where that costs next to nothing.

    Raises
    ------
    InvalidNetwork
        Weights that do not give finite integers.
    """
    parts = parts_of(layer, trains, settings.seed)
    scales, shifts = _scales(layer, parts, drive, settings)
    if not layer.fires:
        scales = _narrowed(parts, scales, shifts, drive, settings.weight_bits, widest)
    connections = rounded(parts, scales, shifts, settings.weight_bits)
    potential = potentials(layer, connections)
    values, places = layer_offsets(layer, shapes, trains)
    offset = torch.from_numpy(values) / scales[:, None, None]
    # the correction that makes up, on average, for all rounding so far
    missing = _mean(drive) / scales - _mean(potential) - offset.mean((1, 2))
    offset = (offset + missing[:, None, None]).round()
    given = _Sums(connections, scales, offset, places, potential, drive)
    if not layer.fires:
        neuron = Silent(vectors(layer, given.by_class(offset)))
        made = QuantisedLayer(connections, neuron, 0.0, None, float(scales[0]), scales)
    else:
        made = (_fire if settings.growth in (1.0, 2.0) else _fire_stepwise)(layer, given, settings)
    if lost := round(sum(part.train.lost for part in parts)):
        made = replace(made, neuron=replace(made.neuron, initial=made.neuron.initial + lost))
    return made


def layer_offsets(
    layer: FloatLayer, shapes: Mapping[str, Shape], trains: Mapping[str, Train]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """What every potential begins with: the bias, and what code 0 stands for, weighted.

    Float64 [O, 1, 1], or [O, H', W'] where it differs in border classes; and a row and a column of each class.
    """
    offset, single = layer.bias, (np.zeros(1, np.int64), np.zeros(1, np.int64))
    padded = layer.bias.shape[1:] != (1, 1)
    for item in layer.incoming:
        if (zero := trains[item.source].zero) == 0.0:
            continue
        image = torch.full((1, *shapes[item.source]), zero, dtype=torch.float64)
        part = item.drive(image, layer.shape[0])[0].numpy()
        if not isinstance(item.geometry, Conv2d) or item.geometry.padding == (0, 0):
            part = part[:, :1, :1] if not isinstance(item.geometry, Diagonal) else part
        offset = offset + part
        padded = padded or (isinstance(item.geometry, Conv2d) and item.geometry.padding != (0, 0))
    if not padded:
        return offset[:, :1, :1], single
    offset = np.broadcast_to(offset, layer.shape).copy()
    rows, columns = (border_classes(axis) for axis in edges(layer.incoming, shapes, layer.shape))
    return offset, (np.unique(rows, return_index=True)[1], np.unique(columns, return_index=True)[1])


def _scales(
    layer: FloatLayer, parts: list[Part], drive: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, list[int]]:
    """Value s of one unit of potential, for every channel; the same for all in a readout; and the shifts."""
    scales, shifts = common_scales(parts, layer.shape[0], settings.largest_weight, shared=not layer.fires)
    if not layer.fires:
        return _readout_scales(layer, scales, drive), shifts
    most = max(settings.top, *(part.train.top for part in parts))
    least = _reach(layer, drive, settings.rule) / (most * _FINEST)
    scales = torch.maximum(scales, least)
    if any(part.diagonal for part in parts):
        scales, shifts = fitted_to_diagonals(parts, scales, shifts, settings.largest_weight, least)
    if isinstance(layer.response, Levels):  # theta is at least 1
        return torch.minimum(scales, _vector(layer.response.steps) * settings.factor), shifts
    if (limit := _limit(layer, settings)) is None:
        return scales, shifts
    # the top code shall mean the clip itself: a whole number of units makes half of clip / top
    scales = scales.clamp(max=limit * settings.factor)  # theta is at least 1
    units = (limit / (2 * scales)).floor()
    return torch.where(units >= 1, limit / (2 * units), scales), shifts


def _narrowed(
    parts: list[Part], scales: torch.Tensor, shifts: list[int], drive: torch.Tensor, weight_bits: int, widest: float
) -> torch.Tensor:
    """Coarser scales of a readout whose potentials would be wider than all others, for every layer of a core has the
    same width: doubled until they are not, or until rounding disturbs the outputs.
    """
    reach = torch.zeros_like(scales)
    for part in parts:
        rows = part.weights.reshape(len(part.weights), -1)
        most = part.train.top * part.connection.geometry.summed
        reach[part.reached()] += torch.maximum(rows.clamp(min=0).sum(1), -rows.clamp(max=0).sum(1)) * most
    spread = float(drive.flatten(2).double().var((0, 2), correction=0).mean())
    levels = 1.0 + max(part.train.top for part in parts)
    disturbing = max(_EXACT, min(_DISTURBING, _LEVELS / levels**2))
    while bool((reach * _MARGIN > widest * scales).any()):
        coarser = rounded(parts, 2 * scales, shifts, weight_bits)
        if sum(float(item.error(2 * scales).mean()) for item in coarser) > disturbing * spread:
            break
        scales = 2 * scales
    return scales


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
    reach = drive.amax((0, 2, 3)).double().clamp(min=0.0, max=_clip(layer))
    largest = float(reach.max()) or float((drive - drive[:1]).abs().max()) or 1.0
    return torch.where((reach > 0) & rule.per_channel, reach, largest)


def _clip(layer: FloatLayer) -> float | None:
    """The most that u of a layer means, None where that has no end."""
    response = layer.response
    return response.top * max(response.steps) if isinstance(response, Levels) else layer.clip


def _limit(layer: FloatLayer, settings: Settings) -> torch.Tensor | None:
    """The most that a code of each channel may stand for, float64 [O]; None where there is no limit."""
    if layer.clip is None or isinstance(layer.response, Levels):
        return None
    return torch.full((layer.shape[0],), layer.clip / settings.top).double()


def _fire(layer: FloatLayer, given: _Sums, settings: Settings) -> QuantisedLayer:
    connections, scales = given.connections, given.scales
    values, targets = sampled(given.potential, given.offset, given.drive, settings.seed)
    targets, notes = layer.activate(targets), []
    limit = _limit(layer, settings)
    if isinstance(layer.response, Levels):
        theta = (_vector(layer.response.steps) * settings.factor / scales).round()
        half = _half(theta, settings)
    else:
        most = None if limit is None else (limit / (2 * scales) * (1 + 1e-9)).floor().clamp(min=1)
        half = half_steps(values, targets, scales, settings.top, settings.rule, most)
        theta = 2 * half * settings.factor
    if limit is not None and bool((coarse := 2 * half * scales > limit * (1 + 1e-6)).any()):
        # units coarser than the clip allows: theta follows the clip, and rounding is no longer exact
        fine = (limit * settings.factor / scales * (1 + 1e-9)).floor().clamp(min=1)
        nearest = _half(fine, settings)
        wrong = float((fine / (2 * settings.factor) - nearest)[coarse].abs().max())
        notes.append(f"{layer.where}: {int(coarse.sum())} channels round with an error of up to {wrong:.2g} units")
        theta, half = torch.where(coarse, fine, theta), torch.where(coarse, nearest, half)
    initial = _bounded(given.offset + half[:, None, None], connections, theta, settings)
    divisor = theta / settings.factor
    # float32 finds the floor of a quotient of whole numbers below 2^24, but no other
    potential = given.potential
    total = potential if bool((divisor == divisor.round()).all()) else potential.double()
    steps = total.add_(initial.to(total.dtype)).div_(divisor[:, None, None].to(total.dtype))
    codes = steps.floor_().clamp_(0, settings.top).float()
    spikes = event_counts(codes.numpy(), settings.code) if settings.growth == 2.0 else codes.numpy()
    activity = float(spikes.sum(dtype=np.float64) / len(codes))
    levels = vectors(layer, theta[None]), vectors(layer, given.by_class(initial))
    neuron = Neuron(settings.timesteps, settings.growth, *levels, code=settings.code)
    steps = theta * scales / settings.factor
    if isinstance(layer.response, Levels):
        steps = _vector(layer.response.worths)
    elif limit is None:  # else the top code means the clip
        steps = worth(values, targets, divisor / 2, steps, settings.top)
    sent = Train(codes, steps, settings.top)
    return QuantisedLayer(connections, neuron, activity, sent, 1.0, scales, tuple(notes))


def _fire_stepwise(layer: FloatLayer, given: _Sums, settings: Settings) -> QuantisedLayer:
    """As `_fire`, of neurons of growth 1 + 2^-s, which do not divide."""
    scales = given.scales
    shift, steps, growth = growth_shift(settings.growth), settings.timesteps, settings.growth
    assert shift is not None
    values, targets = sampled(given.potential, given.offset, given.drive, settings.seed)
    targets = layer.activate(targets)
    theta = thresholds(values, targets, scales, shift, steps, settings.rule, _reach(layer, given.drive, settings.rule))
    added = rounding(theta, growth, steps)
    initial = given.offset + added[:, None, None]
    codes, spikes = stepwise_codes(given.potential.double().add_(initial), theta[:, None, None], shift, steps)
    found, _ = stepwise_codes(values + added[:, None], theta[:, None], shift, steps)
    worths = least_squares(found, targets, theta * scales / growth ** (steps - 1))
    neuron = Neuron(steps, growth, vectors(layer, theta[None]), vectors(layer, given.by_class(initial)))
    sent = Train(codes.float(), worths, settings.top, lost=growth_loss(growth, steps))
    return QuantisedLayer(given.connections, neuron, float(spikes.sum() / len(codes)), sent, 1.0, scales)


def _bounded(
    initial: torch.Tensor, connections: list[Rounded], theta: torch.Tensor, settings: Settings
) -> torch.Tensor:
    """Initial potentials drawn in to where they decide alone, always silent or always full: the codes stay the same."""
    ceiling = 2 if settings.growth > 1 else max(2, settings.timesteps)
    silent, full = torch.full_like(theta, -1.0), ceiling * settings.neurons * theta
    for item in connections:
        low, high = item.reach
        silent[item.part.reached()] -= high
        full[item.part.reached()] -= low
    return torch.minimum(torch.maximum(initial, silent[:, None, None]), full[:, None, None])


def _half(theta: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Whole units that make rounding of floor: half a step; of an odd one the lower half, which is exact."""
    return (theta / (2 * settings.factor) - 0.5).ceil()


def _vector(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Mean of every channel, float64 [C]."""
    return values.flatten(2).mean(2).mean(0, dtype=torch.float64)


def vectors(layer: FloatLayer, values: torch.Tensor) -> np.ndarray:
    """Integers int64 [B, C]."""
    if not bool(torch.isfinite(values).all()) or float(values.abs().max()) >= 2.0**62:
        raise InvalidNetwork(f"{layer.where}: weights and biases must give potentials of at most 48 bits; rescale them")
    return values.round().numpy().astype(np.int64)


def sampled(
    potential: torch.Tensor, offset: torch.Tensor, drive: torch.Tensor, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same random part of potentials with their offsets, and of the drive, float64 [C, M]."""
    samples, channels, height, width = potential.shape
    generator = torch.Generator().manual_seed(seed)
    keep = torch.randperm(samples * height * width, generator=generator)[:_MOST_VALUES]
    sample, place = keep // (height * width), keep % (height * width)
    values, targets = (item.flatten(2)[sample, :, place].T.double() for item in (potential, drive))
    return values + offset.expand(channels, height, width).flatten(1)[:, place], targets
