"""Weighted sums of signals: what a weighted layer, an addition or a composition makes of the values before it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Conv2d, Dense, Diagonal, Pair, Shape
from spikeloom.windows import SINGLE

from ..float_network import FloatConnection
from ..reading.operations import Convolution, Linear, Operation, dilated
from .values import Block, Mixture, Signal, Sum, Value


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
            image = (part * scale).reshape(len(part), block.channels, *block.size)
            geometry = Dense(**block.pooling)
            terms.append(FloatConnection(block.source, geometry, _dense_weights(block, image)))
    shape = (len(weights), 1, 1)
    return Sum(united(terms), bias[:, None, None], shape, operation.where, operation.path, "fc")


def _dense_weights(block: Block, image: np.ndarray) -> np.ndarray:
    """Weights [O, C*H*W] on the (pooled) source, of weights [O, c, h, w] on what a block leaves of it."""
    full = np.zeros((len(image), block.shape[0], *block.pooled))
    if block.mean != (1, 1):
        image = image.repeat(block.mean[0], 2).repeat(block.mean[1], 3) / (block.mean[0] * block.mean[1])
        full[:, block.first : block.stop, : image.shape[2], : image.shape[3]] = image
    else:
        full[:, block.first : block.stop, :: block.stride[0], :: block.stride[1]] = image
    return full.reshape(len(image), -1)


def convolution(
    operation: Operation, signal: Signal, geometry: Conv2d, weights: np.ndarray, bias: np.ndarray, shape: Shape
) -> Sum:
    """A convolution on a signal; `geometry` without pooling."""
    offset = bias[:, None, None]
    if signal.shift.any():
        offset = offset + _shift_map(signal, geometry, weights)
    if geometry.groups > 1 and not (len(signal.blocks) == 1 and signal.blocks[0].whole):
        weights, geometry = ungrouped(weights, geometry.groups), replace(geometry, groups=1)
    per_group, groups = weights.shape[1], geometry.groups
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
        own, part = _thinned(operation, block, geometry, part)
        terms.append(FloatConnection(block.source, replace(own, **block.pooling), part))
    return Sum(united(terms), offset, shape, operation.where, operation.path, "conv")


def _shift_map(signal: Signal, geometry: Conv2d, weights: np.ndarray) -> np.ndarray:
    """What the shifts of a signal add, float64 [O, 1, 1], or [O, H', W'] where zeros are padded, unshifted."""
    padded = geometry.padding != (0, 0)
    size = signal.size if padded else geometry.kernel
    image = np.broadcast_to(signal.shift[:, None, None], (signal.channels, *size)).copy()
    found = F.conv2d(
        torch.from_numpy(image)[None],
        torch.from_numpy(weights),
        stride=geometry.stride,
        padding=geometry.padding,
        groups=geometry.groups,
    )
    return found[0].numpy()


def _thinned(operation: Operation, block: Block, geometry: Conv2d, weights: np.ndarray) -> tuple[Conv2d, np.ndarray]:
    """Geometry and weights on the (pooled) source where a block is subsampled, or averaged behind a maximum."""
    step = block.stride if block.mean == (1, 1) else block.mean
    if step == (1, 1):
        return geometry, weights
    (ky, kx), (sy, sx), (py, px) = geometry.kernel, geometry.stride, geometry.padding
    stride, padding = (sy * step[0], sx * step[1]), (py * step[0], px * step[1])
    if block.mean == (1, 1):
        kernel = ((ky - 1) * step[0] + 1, (kx - 1) * step[1] + 1)
        spread = dilated(weights, step)
    else:
        rest = any(size % every for size, every in zip(block.pooled, step, strict=True))
        if rest and geometry.padding != (0, 0):
            raise UnsupportedLayer(
                f"{operation.where}: padding must be 0 behind an average over a maximum that leaves a rest, "
                f"not {geometry.padding}"
            )
        kernel = (ky * step[0], kx * step[1])
        spread = weights.repeat(step[0], 2).repeat(step[1], 3) / (step[0] * step[1])
    return replace(geometry, kernel=kernel, stride=stride, padding=padding), spread


def ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """Weights [O, C, kh, kw] of a grouped convolution [O, C/groups, kh, kw], zeros between the groups."""
    outputs, per_group = weights.shape[:2]
    full = np.zeros((outputs, per_group * groups, *weights.shape[2:]))
    rows = outputs // groups
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        full[part, group * per_group : (group + 1) * per_group] = weights[part]
    return full


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
            terms.append(_identity(block, start, shape))
        start += block.channels
    return Sum(tuple(terms), value.shift[:, None, None], shape, operation.where, operation.path, "add")


def _identity(block: Block, start: int, shape: Shape) -> FloatConnection:
    """The connection that adds a block to the channels from `start` of a population of some shape."""
    assert block.source is not None
    if block.whole and block.windows == SINGLE and block.mean == (1, 1):
        return FloatConnection(block.source, Diagonal(block.stride, start), block.scale)
    stride = (block.stride[0] * block.mean[0], block.stride[1] * block.mean[1])
    geometry = Conv2d(block.mean, stride, **block.pooling)
    area = block.mean[0] * block.mean[1]
    if block.whole and shape[0] == block.channels:
        weights = np.broadcast_to(block.scale[:, None, None, None] / area, (block.channels, 1, *block.mean)).copy()
        return FloatConnection(block.source, replace(geometry, groups=block.channels), weights)
    weights = np.zeros((shape[0], block.shape[0], *block.mean))
    for channel in range(block.channels):
        weights[start + channel, block.first + channel] = block.scale[channel] / area
    return FloatConnection(block.source, geometry, weights)


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


def diagonal_as_convolution(geometry: Diagonal, weights: np.ndarray, channels: int) -> tuple[Conv2d, np.ndarray]:
    """The 1x1 convolution that a diagonal connection equals."""
    count = len(weights)
    if count == channels:
        return Conv2d((1, 1), geometry.stride, groups=count), weights.reshape(-1, 1, 1, 1)
    full = np.zeros((channels, count, 1, 1))
    full[geometry.channel_offset + np.arange(count), np.arange(count), 0, 0] = weights
    return Conv2d((1, 1), geometry.stride), full


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
