"""The connections of one layer on their way to integers: one unit of potential for all, a shift for each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from spikeloom.geometry import Conv2d, Diagonal

from ..float_network import FloatConnection, FloatLayer, connect
from .rounding import Columns, covariances, drawn_in, least_error, nearest, round_weights, rounding_error, weight_scales

DIAGONAL_BITS = 8
_MOST_SHIFT = 15
# where several connections share a scale: multiples of the finest that one of them needs
_AROUND = 2 * torch.logspace(-1.0, 0.6, 33, dtype=torch.float64, base=2)
_AROUND_LOG, _COARSER = 1.6, 0.1  # their end, and the steps of more, up to the coarsest that one needs, to the base 2
_CHUNK = 256  # samples that are propagated at a time
_EXACT_FLOAT32 = 1 << 24
_NO_ERROR = 1e-6  # part of what a connection adds that is as good as nothing


@dataclass(frozen=True, eq=False)
class Train:
    """A source on the calibration samples: it stands for steps * codes + zero.

    Members
    -------
    codes : float [N, C, H, W].
    steps : of each channel, float64 [C].
    top : largest code.
    zero : what code 0 stands for, 0 but in an input.
    lost : units of potential that a listener loses on average, as potentials grow by whole units.
    """

    codes: torch.Tensor
    steps: torch.Tensor
    top: float
    zero: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """One connection: its weights on the *codes* of the source.

    Members
    -------
    connection : FloatConnection
    train : of its source.
    weights : float64 [O, n], of a diagonal connection [C].
    blocks : covariances of what it hears; none for a diagonal connection.
    """

    connection: FloatConnection
    train: Train
    weights: torch.Tensor
    blocks: list[Columns]

    @property
    def diagonal(self) -> Diagonal | None:
        """The geometry, where it is a diagonal one."""
        geometry = self.connection.geometry
        return geometry if isinstance(geometry, Diagonal) else None

    def reached(self) -> slice:
        """Channels of the target that it reaches."""
        if (geometry := self.diagonal) is None:
            return slice(0, len(self.weights))
        return slice(geometry.channel_offset, geometry.channel_offset + len(self.weights))


@dataclass(frozen=True, eq=False)
class Rounded:
    """A connection in integers: weights float64, shaped as `Part.weights`, times 2^shift."""

    part: Part
    weights: torch.Tensor
    shift: int
    bits: int

    @property
    def reach(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Least and largest sum it can add to a channel that it reaches, float64 [O]."""
        rows = self.weights.reshape(len(self.weights), -1)
        most = self.part.train.top * self.part.connection.geometry.summed * 2.0**self.shift
        return rows.clamp(max=0).sum(1) * most, rows.clamp(min=0).sum(1) * most

    def error(self, scales: torch.Tensor) -> torch.Tensor:
        """Expected squared error of what it adds to each channel, [O], in the units of u; 0 of a diagonal one."""
        if self.part.diagonal is not None:
            return torch.zeros(1, dtype=torch.float64)
        off = self.weights * (scales * 2**self.shift)[:, None] - self.part.weights
        total = torch.zeros_like(scales)
        for block in self.part.blocks:
            part = off[block.rows, block.columns]
            total[block.rows] += (part @ block.covariance * part).sum(1)
        return total


def parts_of(layer: FloatLayer, trains: Mapping[str, Train], seed: int) -> list[Part]:
    """The connections of a layer, with what they hear on the calibration samples."""
    found = []
    for item in layer.incoming:
        train = trains[item.source]
        weights = absorbed_weights(item, train.steps)
        geometry = item.geometry
        blocks = []
        if not isinstance(geometry, Diagonal):
            blocks = covariances(geometry, len(weights), train.codes, seed)
            weights = drawn_in(weights, blocks, shared=not layer.fires)
        found.append(Part(item, train, weights, blocks))
    return found


def absorbed_weights(connection: FloatConnection, steps: torch.Tensor) -> torch.Tensor:
    """Float weights [O, n] on the *codes* of the source: its steps [C] and 1/window are absorbed; [C] if diagonal."""
    geometry = connection.geometry
    weights = torch.from_numpy(connection.weights) / geometry.summed
    if isinstance(geometry, Diagonal):
        return weights * steps
    if not isinstance(geometry, Conv2d):
        return weights * steps.repeat_interleave(weights.shape[1] // len(steps))
    groups, width = geometry.groups, weights.shape[1]
    first = torch.arange(groups).repeat_interleave(len(weights) // groups) * width
    channel = first[:, None] + torch.arange(width)
    return (weights * steps[channel][:, :, None, None]).flatten(1)


def common_scales(parts: Sequence[Part], outputs: int, largest: int, *, shared: bool) -> tuple[torch.Tensor, list[int]]:
    """Value of one unit of potential for every channel, [O], and the shift of every connection.

    Of least expected error over all full connections; a connection whose weights are larger is shifted up.
    """
    full = [number for number, part in enumerate(parts) if part.diagonal is None]
    shifts = [0] * len(parts)
    own = [weight_scales(parts[number].weights, parts[number].blocks, largest, shared=shared) for number in full]
    if not full:
        return torch.zeros(outputs, dtype=torch.float64), shifts
    if len(full) == 1:
        return own[0], shifts
    usual = [float(scale[scale > 0].median()) if bool((scale > 0).any()) else 0.0 for scale in own]
    finest = min((value for value in usual if value), default=1.0)
    for number, value in zip(full, usual, strict=True):
        if value:
            shifts[number] = min(_MOST_SHIFT, max(0, round(float(torch.tensor(value / finest).log2()))))
    needs = torch.stack([scale / 2 ** shifts[number] for number, scale in zip(full, own, strict=True)])
    scale = torch.where(needs > 0, needs, torch.inf).amin(0)
    scale = torch.where(torch.isfinite(scale), scale, torch.zeros_like(scale))
    furthest = (needs.amax(0) / scale).nan_to_num(1.0, posinf=1.0).log2().max()
    beyond = max(0, math.ceil((float(furthest) - _AROUND_LOG) / _COARSER))
    ratios = torch.cat([_AROUND, 2.0 ** (_AROUND_LOG + _COARSER * torch.arange(1, beyond + 1))])
    measured = [(parts[number].weights, parts[number].blocks, shifts[number]) for number in full]
    return least_error(measured, scale, ratios, largest, shared=shared), shifts


def fitted_to_diagonals(
    parts: Sequence[Part], scales: torch.Tensor, shifts: Sequence[int], largest: int, least: torch.Tensor
) -> tuple[torch.Tensor, list[int]]:
    """Scales moved so that the weights of a diagonal connection are whole numbers, and all shifts.

    A residual branch is added without any loss then; the other connections are rounded to a scale a little off theirs.
    Of several diagonal connections, that of the largest weights is the exact one. No scale falls below `least` [O].
    """
    shifts = list(shifts)
    diagonals = [number for number, part in enumerate(parts) if part.diagonal is not None]
    diagonals.sort(key=lambda number: -float(parts[number].weights.abs().median()))
    top = (1 << (DIAGONAL_BITS - 1)) - 1
    measured = [(part.weights, part.blocks, shifts[i]) for i, part in enumerate(parts) if part.diagonal is None]
    # weights of one value, as of averages, are rounded without an error, to which any other would be endless
    floor = _NO_ERROR * rounding_error(measured, scales, 0)
    for rank, number in enumerate(diagonals):
        reached = parts[number].reached()
        value = parts[number].weights.abs()
        if not measured and rank == 0:  # nothing else to share the scale with
            scales = scales.clone()
            scales[reached] = torch.maximum(value / top, least[reached])
            continue
        units = value / scales[reached].clamp(min=torch.finfo(torch.float64).tiny)
        options = []
        for shift in range(_MOST_SHIFT + 1):
            whole = (units / 2**shift).round().clamp(1, top)
            moved = scales.clone()
            if rank == 0:
                whole = torch.minimum(whole, (value / (least[reached] * 2**shift)).floor())
                exact = whole >= 1
                moved[reached] = torch.where(exact, value / (whole.clamp(min=1) * 2**shift), scales[reached])
                error = rounding_error(measured, moved, largest)[reached]
                usual = torch.maximum(rounding_error(measured, scales, largest), floor)[reached].clamp(min=1e-30)
                lost = (~exact & (value > 0)).double() * 1e3
                cost = float(((error / usual).clamp(max=1e6) + lost).mean())
            else:
                cost = float((units - whole * 2**shift).square().mean())
            options.append((cost, shift, moved))
        _, shifts[number], scales = min(options, key=lambda option: option[:2])
    return scales, shifts


def rounded(parts: Sequence[Part], scales: torch.Tensor, shifts: Sequence[int], bits: int) -> list[Rounded]:
    """Integers of every connection for the scales [O] and its shift."""
    found = []
    for part, shift in zip(parts, shifts, strict=True):
        own = scales[part.reached()] * 2**shift
        if part.diagonal is not None:
            top = (1 << (DIAGONAL_BITS - 1)) - 1
            weights = nearest(part.weights[:, None], own, top)[:, 0]
            found.append(Rounded(part, weights, shift, DIAGONAL_BITS))
            continue
        weights = round_weights(part.weights, own, part.blocks, (1 << (bits - 1)) - 1)
        found.append(Rounded(part, weights, shift, bits))
    return found


def potentials(layer: FloatLayer, connections: Sequence[Rounded]) -> torch.Tensor:
    """Weighted sums of the codes [N, O, H', W'], exact, in float32 where that can hold them."""
    largest = sum(float(torch.maximum(-low, high).max()) for low, high in (item.reach for item in connections))
    dtype = torch.float32 if largest < _EXACT_FLOAT32 else torch.float64
    count = len(connections[0].part.train.codes)
    potential = torch.zeros((count, *layer.shape), dtype=dtype)
    for item in connections:
        geometry = item.part.connection.geometry
        shaped = (item.weights.reshape(item.part.connection.weights.shape) * 2.0**item.shift).to(dtype)
        for codes, part in zip(item.part.train.codes.split(_CHUNK), potential.split(_CHUNK), strict=True):
            part.add_(connect(geometry, shaped, codes.to(dtype), layer.shape[0]))
    return potential
