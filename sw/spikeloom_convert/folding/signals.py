"""Weighted sums of signals: what a weighted layer, an addition or a composition makes of the values before it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Conv2d, Dense, Diagonal, Pair, Shape
from spikeloom.windows import SINGLE

from ..float_network import FloatConnection
from ..reading.operations import Convolution, Linear, Operation, image
from .kernels import Sides, diagonal_as_convolution, spread, symmetric, ungrouped
from .values import Block, Mixture, Signal, Sum, Value, regular

_AVERAGED = "padding must be 0 behind an average over a maximum that leaves a rest, or is cropped"
_CROPPED = (
    "padding must be 0 where its images are cropped, as zeros would have to stand for the places left out; "
    "crop the samples beforehand, or what the layer gives"
)


def source_signal(name: str, shape: Shape) -> Signal:
    """The activations of a source."""
    return Signal((Block(name, shape, 0, shape[0], np.ones(shape[0]), np.zeros(shape[0])),))


def zeros(channels: int, size: Pair) -> Block:
    """Channels of zeros."""
    return Block(None, (channels, *size), 0, channels, np.ones(channels), np.zeros(channels))


def dense(operation: Operation, signal: Signal, weights: np.ndarray, bias: np.ndarray) -> Sum:
    """A linear layer on a signal."""
    if signal.order is not None:
        weights = weights[:, np.argsort(signal.order)]
    terms, start = [], 0
    for block in signal.blocks:
        width = block.channels * block.size[0] * block.size[1]
        part, start = weights[:, start : start + width], start + width
        scale, shift = (np.repeat(v, width // len(v)) for v in (block.scale, block.shift))
        bias = bias + part @ shift
        if block.source is not None:
            part = (part * scale).reshape(len(part), block.channels, *block.size)
            terms.append(FloatConnection(block.source, Dense(**block.pooling), _dense_weights(block, part)))
    shape = (len(weights), 1, 1)
    return Sum(united(terms), bias[:, None, None], shape, operation.where, operation.path, "fc")


def _dense_weights(block: Block, weights: np.ndarray) -> np.ndarray:
    """Weights [O, C*H*W] on the (pooled) source, of weights [O, c, h, w] on what a block leaves of it."""
    full = np.zeros((len(weights), block.shape[0], *block.pooled))
    rows, columns = block.places
    part = full[:, block.first : block.stop, rows[0] :, columns[0] :]
    own = spread(weights, (rows.step, columns.step), block.mean)
    part[:, :, : own.shape[2], : own.shape[3]] = own
    return full.reshape(len(weights), -1)


def convolution(operation: Convolution, signal: Signal) -> Sum:
    """A convolution on a signal."""
    weights, groups = operation.weights, operation.groups
    above, below, left, right = (zeros + operation.padding[side // 2] for side, zeros in enumerate(signal.pad))
    pad = above, below, left, right
    offset = operation.bias[:, None, None]
    if signal.shift.any():
        offset = offset + _shift_map(operation, signal, pad)
    if groups > 1 and not (len(signal.blocks) == 1 and signal.blocks[0].whole):
        weights, groups = ungrouped(weights, groups), 1
    per_group = weights.shape[1]
    # input channel of each [O, C/groups] weight
    channel = np.arange(per_group) + np.repeat(np.arange(groups), len(weights) // groups)[:, None] * per_group
    scale = np.concatenate([block.scale for block in signal.blocks])
    weights = weights * scale[channel][:, :, None, None]
    terms, start = [], 0
    for block in signal.blocks:
        part = weights if block.channels == signal.channels else weights[:, start : start + block.channels]
        start += block.channels
        if block.source is None:
            continue
        if not block.whole:
            full = np.zeros((len(part), block.shape[0], *part.shape[2:]))
            full[:, block.first : block.stop] = part
            part = full
        terms.append(_heard(operation, block, part, operation.stride, pad, groups))
    return Sum(united(terms), offset, image(operation.after), operation.where, operation.path, "conv")


def _shift_map(operation: Convolution, signal: Signal, pad: Sides) -> np.ndarray:
    """What the shifts of a signal add, float64 [O, 1, 1], or [O, H', W'] where zeros are padded, unshifted."""
    above, below, left, right = pad
    size = signal.size if any(pad) else operation.weights.shape[2:]
    shifts = np.broadcast_to(signal.shift[:, None, None], (signal.channels, *size)).copy()
    padded = F.pad(torch.from_numpy(shifts)[None], (left, right, above, below))
    found = F.conv2d(padded, torch.from_numpy(operation.weights), stride=operation.stride, groups=operation.groups)
    return found[0].numpy()


def _heard(
    operation: Operation, block: Block, weights: np.ndarray, stride: Pair, pad: Sides, groups: int
) -> FloatConnection:
    """The convolution on the (pooled) source that equals one on what is kept of it, with zeros around that."""
    assert block.source is not None
    step = block.places[0].step, block.places[1].step
    sides, slack = [], []
    for axis, places in enumerate(block.places):
        size, window, every, (ahead, behind) = block.pooled[axis], block.mean[axis], step[axis], pad[2 * axis :][:2]
        # zeros stand for places of the source, which are none only if they lie beyond its border
        amid = ahead and places[0] - every + window > 0, behind and places[-1] + every < size
        if any(amid):
            raise UnsupportedLayer(f"{operation.where}: {_AVERAGED if block.mean != (1, 1) else _CROPPED}")
        sides += [ahead * every - places[0], behind * every - (size - places[-1] - window)]
        rest = (len(places) + ahead + behind - weights.shape[2 + axis]) % stride[axis]
        slack.append((stride[axis] - rest) * every - 1)
    above, below, left, right = sides
    full, padding = symmetric(spread(weights, step, block.mean), (above, below, left, right), (slack[0], slack[1]))
    kernel, steps = (full.shape[2], full.shape[3]), (stride[0] * step[0], stride[1] * step[1])
    return FloatConnection(block.source, Conv2d(kernel, steps, padding, groups, **block.pooling), full)


def as_sum(operation: Operation, value: Value) -> Sum:
    """A value as a weighted sum: activations by identity connections."""
    if isinstance(value, Sum):
        return value
    if isinstance(value, Mixture):
        return reduce(added, (as_sum(operation, signal) for signal in value.signals))
    if value.flat and value.size != (1, 1):
        raise UnsupportedLayer(
            f"{operation.where}: must be before Flatten; add and activate images, not their features"
        )
    terms, start, shape = [], 0, (value.channels, *value.size)
    for block in value.blocks:
        if block.source is not None:
            terms.append(_identity(operation, block, start, shape))
        start += block.channels
    return Sum(tuple(terms), value.shift[:, None, None], shape, operation.where, operation.path, "add")


def _identity(operation: Operation, block: Block, start: int, shape: Shape) -> FloatConnection:
    """The connection that adds a block to the channels from `start` of a population of some shape."""
    assert block.source is not None
    steps = regular(block.places, block.pooled)
    if steps and block.whole and block.windows == SINGLE and block.mean == (1, 1):
        return FloatConnection(block.source, Diagonal(steps, start), block.scale)
    groups = block.channels if block.whole and shape[0] == block.channels else 1
    weights = block.scale[:, None, None, None]
    if groups == 1:
        weights = np.zeros((shape[0], block.shape[0], 1, 1))
        channels = np.arange(block.channels)
        weights[start + channels, block.first + channels, 0, 0] = block.scale
    return _heard(operation, block, weights, (1, 1), (0, 0, 0, 0), groups)


def reach(signal: Signal, ranges: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Least and largest value of a signal, which may be infinite, of those of its sources."""
    ends = []
    for block in signal.blocks:
        low, high = (0.0, 0.0) if block.source is None else ranges[block.source]
        used = block.scale != 0  # 0 * infinity is no number
        ends += [block.scale[used] * end + block.shift[used] for end in (low, high)] + [block.shift[~used]]
    every = np.concatenate(ends)
    return float(every.min()), float(every.max())


def scaled(value: Sum, scale: np.ndarray, shift: np.ndarray) -> Sum:
    """scale * value + shift by channel."""
    terms = []
    for term in value.terms:
        if isinstance(term.geometry, Diagonal):
            first = term.geometry.channel_offset
            weights = term.weights * scale[first : first + len(term.weights)]
        else:
            weights = term.weights * scale.reshape(-1, *[1] * (term.weights.ndim - 1))
        terms.append(replace(term, weights=weights))
    bias = value.bias * scale[:, None, None] + shift[:, None, None]
    return replace(value, terms=tuple(terms), bias=bias)


def added(first: Sum, second: Sum) -> Sum:
    """The sum of two sums; equal geometries from one source become one connection."""
    return replace(first, terms=united((*first.terms, *second.terms)), bias=first.bias + second.bias)


def mixed(where: str, values: Sequence[Value]) -> Value:
    """The sum of values, which are signals all, or weighted sums all."""
    signals = tuple(value for value in values if isinstance(value, Signal))
    if signals:
        return Mixture(signals, where)
    return reduce(added, (value for value in values if isinstance(value, Sum)))


def united(terms: Sequence[FloatConnection]) -> tuple[FloatConnection, ...]:
    """Connections, those of equal geometry from one source as one."""
    found: list[FloatConnection] = []
    for term in terms:
        for number, known in enumerate(found):
            if (known.source, known.geometry) == (term.source, term.geometry):
                found[number] = replace(known, weights=known.weights + term.weights)
                break
        else:
            found.append(term)
    return tuple(found)


def placed(value: Sum, start: int, channels: int) -> Sum:
    """A sum as the channels from `start` of a wider one."""
    rows = value.shape[0]
    terms = []
    for term in value.terms:
        geometry, weights = term.geometry, term.weights
        if isinstance(geometry, Diagonal):
            terms.append(replace(term, geometry=replace(geometry, channel_offset=geometry.channel_offset + start)))
            continue
        if isinstance(geometry, Conv2d) and geometry.groups > 1:
            weights, geometry = ungrouped(weights, geometry.groups), replace(geometry, groups=1)
        full = np.zeros((channels, *weights.shape[1:]))
        full[start : start + rows] = weights
        terms.append(FloatConnection(term.source, geometry, full))
    bias = np.zeros((channels, *value.bias.shape[1:]))
    bias[start : start + rows] = value.bias
    return replace(value, terms=tuple(terms), bias=bias, shape=(channels, *value.shape[1:]))


def picked(value: Sum, channels: np.ndarray) -> Sum:
    """Some channels of a sum, by number."""
    terms = []
    for term in value.terms:
        geometry, weights = term.geometry, term.weights
        if isinstance(geometry, Diagonal):
            geometry, weights = diagonal_as_convolution(geometry, weights, value.shape[0])
        if isinstance(geometry, Conv2d) and geometry.groups > 1:
            weights, geometry = ungrouped(weights, geometry.groups), replace(geometry, groups=1)
        terms.append(FloatConnection(term.source, geometry, weights[channels]))
    falls = None if value.falls is None else value.falls[channels]
    shape = (len(channels), *value.shape[1:])
    return replace(value, terms=tuple(terms), bias=value.bias[channels], shape=shape, falls=falls)


def pointwise(operation: Linear | Convolution, value: Sum, weights: np.ndarray, stride: Pair) -> Sum:
    """Weights [O, C] on a sum, W2 (W1 * x + b1) + b2, as one sum, of every so many-th row and column."""
    sy, sx = stride
    terms = []
    for term in value.terms:
        geometry, own = term.geometry, term.weights
        if isinstance(geometry, Diagonal):
            geometry, own = diagonal_as_convolution(geometry, own, value.shape[0])
        if isinstance(geometry, Conv2d):
            own = ungrouped(own, geometry.groups)
            geometry = replace(geometry, groups=1, stride=(geometry.stride[0] * sy, geometry.stride[1] * sx))
        terms.append(FloatConnection(term.source, geometry, np.tensordot(weights, own, 1)))
    bias = value.bias if value.bias.shape[1:] == (1, 1) else value.bias[:, ::sy, ::sx]
    bias = np.tensordot(weights, bias, 1) + operation.bias[:, None, None]
    size = (-(-value.shape[1] // sy), -(-value.shape[2] // sx))
    shape = (len(weights), *size)
    return replace(value, terms=tuple(terms), bias=bias, shape=shape, where=operation.where, path=operation.path)
