"""What operations without weights do to a value: poolings, slices, concatenations."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Conv2d, Diagonal, Shape
from spikeloom.windows import SINGLE, Windows

from ..float_network import INPUT, FloatConnection
from ..reading.operations import (
    Affine,
    AveragePool,
    Convolution,
    Flatten,
    Gather,
    Linear,
    MaxPool,
    Operation,
    PadSides,
    Pair,
    Select,
    image,
)
from .crops import under
from .kernels import diagonal_as_convolution
from .signals import added, as_sum, mixed, picked, placed, scaled, zeros
from .values import Block, Mixture, Signal, Sum, Value, Whole

AFTER = "put a ReLU between them"
_GAPS = "a slice that leaves rows or columns out between others"


def as_given(operation: Operation, value: Value) -> Operation:
    """An operation on images that are as the layer before gives them; a reduction over all places takes any form.

    Raises
    ------
    UnsupportedLayer
        A reshape has moved the axes of the images before.
    """
    expected = image(operation.before)
    if value.image == expected:
        return operation
    alike = value.image[0] == expected[0] and np.prod(value.image) == np.prod(expected)
    if alike and isinstance(operation, AveragePool) and operation.window == expected[1:]:
        return replace(operation, window=value.image[1:])
    if alike and isinstance(operation, MaxPool) and operation.windows == Windows.tiles(expected[1:]):
        return replace(operation, windows=Windows.tiles(value.image[1:]))
    samples = isinstance(value, Signal) and value.blocks[0].source == INPUT
    raise UnsupportedLayer(
        f"{operation.where}: must get the axes of the {'samples' if samples else 'layer before it'}, {value.image}, "
        f"not reshaped to {expected}"
    )


def affine(operation: Affine, value: Whole) -> Whole:
    """scale * value + shift, by channel or feature."""
    scale, shift = operation.scale, operation.shift
    features = isinstance(value, Signal) and value.flat
    count = len(value.scale) if isinstance(value, Signal) else value.image[0]
    if count != len(scale) and (scale == scale[0]).all() and (shift == shift[0]).all():
        scale, shift = (np.full(count, values[0]) for values in (scale, shift))  # reshaped in between
    if len(scale) not in (count, count if isinstance(value, Signal) else int(np.prod(value.image))):
        what = "features" if features else "channels"
        raise UnsupportedLayer(f"{operation.where}: must take the {count} {what} before it, not {len(scale)}")
    if isinstance(value, Signal):
        return mapped(value, scale, shift)
    by_channel = [values.reshape(value.shape[0], -1) for values in (scale, shift)]
    if any((values != values[:, :1]).any() for values in by_channel):
        raise UnsupportedLayer(
            f"{operation.where}: must treat all places of a channel alike after {value.where}; "
            f"use BatchNorm2d before Flatten"
        )
    made = scaled(value, by_channel[0][:, 0], by_channel[1][:, 0])
    if value.largest == SINGLE:
        return made
    return replace(made, falls=(by_channel[0][:, 0] < 0) ^ (False if value.falls is None else value.falls))


def composes(operation: Linear | Convolution, value: Sum) -> bool:
    """Whether a layer takes every place of a sum by itself, so that both are one."""
    if isinstance(operation, Linear):
        return value.shape[1:] == (1, 1)
    return operation.pointwise


def constantless(operation: Operation) -> Operation:
    """An operation without the bias or shift it adds."""
    if isinstance(operation, Linear | Convolution):
        return replace(operation, bias=np.zeros_like(operation.bias))
    return replace(operation, shift=np.zeros_like(operation.shift)) if isinstance(operation, Affine) else operation


def mapped(value: Signal, scale: np.ndarray, shift: np.ndarray) -> Signal:
    """scale * value + shift, float64 [C], or by feature where it is flattened."""
    if value.order is not None:
        places = np.argsort(value.order)
        scale, shift = scale[places], shift[places]
    blocks, start = [], 0
    for block in value.blocks:
        part = slice(start, start + len(block.scale))
        start = part.stop
        own = block.scale * scale[part], block.shift * scale[part] + shift[part]
        blocks.append(replace(block, scale=own[0], shift=own[1]))
    return replace(value, blocks=tuple(blocks))


def surrounded(operation: PadSides, value: Whole) -> Signal:
    """A value with rows and columns of zeros around it, for the next convolution."""
    if isinstance(value, Sum):
        raise UnsupportedLayer(f"{operation.where}: must not follow {value.where} without an activation; {AFTER}")
    more = (operation.above, operation.below, operation.left, operation.right)
    above, below, left, right = (old + new for old, new in zip(value.pad, more, strict=True))
    return replace(value, pad=(above, below, left, right))


def averaged(operation: AveragePool, block: Block, factor: float) -> Block:
    """The mean over windows of a block, times a factor."""
    window = operation.window
    block = replace(block, scale=block.scale * factor, shift=block.shift * factor)
    if block.source is None:
        return replace(block, shape=(block.channels, *image(operation.after)[1:]))
    if window == (1, 1):
        return block
    rows, columns = block.places
    if any(window[axis] > 1 and places.step != block.mean[axis] for axis, places in enumerate((rows, columns))):
        raise UnsupportedLayer(f"{operation.where}: must not follow {_GAPS}; {AFTER}")
    if block.pool_kind == "max" or block.cropped or block.mean != (1, 1):
        rows = rows[: len(rows) // window[0] * window[0] : window[0]]
        columns = columns[: len(columns) // window[1] * window[1] : window[1]]
        return replace(block, kept=(rows, columns), mean=(block.mean[0] * window[0], block.mean[1] * window[1]))
    size = block.windows.size
    return replace(block, windows=Windows.tiles((size[0] * window[0], size[1] * window[1])), kept=None)


def merged(operation: AveragePool, value: Sum) -> Sum:
    """The mean over windows of a sum, in one layer with it."""
    window, factor = operation.window, operation.factor
    terms = []
    for term in value.terms:
        geometry, weights = term.geometry, term.weights
        if value.shape[1:] != (1, 1):
            if isinstance(geometry, Diagonal):
                geometry, weights = diagonal_as_convolution(geometry, weights, value.shape[0])
            assert isinstance(geometry, Conv2d)  # the image of a dense layer has one place
            weights = _pooled_kernel(weights, geometry.stride, window)
            geometry = _pooled_geometry(geometry, window)
        terms.append(FloatConnection(term.source, geometry, weights * factor))
    bias = value.bias
    if bias.shape[1:] != (1, 1):
        bias = F.avg_pool2d(torch.from_numpy(bias)[None], window)[0].numpy()
    shape = (value.shape[0], value.shape[1] // window[0], value.shape[2] // window[1])
    return replace(value, terms=tuple(terms), bias=bias * factor, shape=shape)


def _pooled_geometry(geometry: Conv2d, window: Pair) -> Conv2d:
    """Convolution that equals `geometry` followed by averaging over windows: kernel K + (p-1)s, stride s*p."""
    (ky, kx), (sy, sx), (py, px) = geometry.kernel, geometry.stride, window
    return replace(geometry, kernel=(ky + (py - 1) * sy, kx + (px - 1) * sx), stride=(sy * py, sx * px))


def _pooled_kernel(weights: np.ndarray, stride: Pair, window: Pair) -> np.ndarray:
    """Sum of the shifted kernels over their number, [O, C/groups, kh + (py-1)sy, kw + (px-1)sx]."""
    *channels, kh, kw = weights.shape
    spread = np.zeros((*channels, kh + (window[0] - 1) * stride[0], kw + (window[1] - 1) * stride[1]))
    for y in range(window[0]):
        for x in range(window[1]):
            spread[..., y * stride[0] : y * stride[0] + kh, x * stride[1] : x * stride[1] + kw] += weights
    return spread / (window[0] * window[1])


def maximum(operation: MaxPool, value: Whole) -> Whole:
    """The maximum over windows of a value that rises where its populations do."""
    if isinstance(value, Sum):
        return replace(value, largest=_within(operation, value.largest, value.shape))
    blocks = []
    for block in value.blocks:
        if block.source is None:
            blocks.append(replace(block, shape=(block.channels, *image(operation.after)[1:])))
            continue
        averaged = block.mean != (1, 1) or (block.windows != SINGLE and block.pool_kind != "max")
        kept = under(operation.windows, block)
        if averaged or kept is None:
            before = "average pooling" if averaged else "a crop that its windows do not fit"
            raise UnsupportedLayer(f"{operation.where}: must not follow {before} without an activation between them")
        windows = _within(operation, block.windows, block.shape)
        blocks.append(replace(block, windows=windows, pool_kind="max", kept=kept))
    return replace(value, blocks=tuple(blocks))


def _within(operation: MaxPool, first: Windows, shape: Shape) -> Windows:
    """Windows on an image whose maxima are those of `operation` over the maxima of others."""
    both = first.then(operation.windows, *shape[1:])
    if both is None or both.violations(shape, "max"):
        raise UnsupportedLayer(
            f"{operation.where}: must not follow max pooling whose windows leave places out that it would see; "
            "put a layer between them"
        )
    return both


def selected(operation: Select, value: Whole) -> Whole:
    """Some channels of a value."""
    if isinstance(value, Signal) and value.flat and value.size != (1, 1):
        raise UnsupportedLayer(f"{operation.where}: must be before Flatten; take channels of images, not features")
    _require_channels(operation, value)
    if isinstance(value, Sum):
        return picked(value, np.arange(operation.first, operation.stop))
    blocks, start = [], 0
    for block in value.blocks:
        low, high = max(operation.first - start, 0), min(operation.stop - start, block.channels)
        start += block.channels
        if low < high:
            part = slice(low, high)
            first, stop = block.first + low, block.first + high
            shape = (high - low, *block.shape[1:]) if block.source is None else block.shape
            if block.source is None:
                first, stop = 0, high - low
            blocks.append(
                replace(block, shape=shape, first=first, stop=stop, scale=block.scale[part], shift=block.shift[part])
            )
    return Signal(tuple(blocks))


def _require_channels(operation: Select | Gather, value: Whole) -> None:
    """UnsupportedLayer where a reshape has moved axes of one place."""
    if value.image[0] != operation.before[0]:
        raise UnsupportedLayer(
            f"{operation.where}: must take as many channels as the layer before it gives, {value.image[0]}, "
            f"not {operation.before[0]}"
        )


def gathered(operation: Gather, value: Whole) -> Whole:
    """Channels of a value by number."""
    at = operation.where, operation.path, operation.before, operation.after
    if isinstance(value, Sum):
        _require_channels(operation, value)
        return picked(value, np.array(operation.channels))
    parts = (selected(Select(*at, number, number + 1), value) for number in operation.channels)
    return Signal(tuple(block for part in parts if isinstance(part, Signal) for block in part.blocks))


def joined(operation: Operation, values: Sequence[Value], ahead: int, behind: int) -> Value:
    """Values one after the other, between channels of zeros."""
    size = image(operation.after)[1:]
    if any(isinstance(value, Mixture) for value in values) and not any(isinstance(value, Sum) for value in values):
        sides = zip(*(_sides(value) for value in values), strict=True)
        return mixed(operation.where, [joined(operation, side, ahead, behind) for side in sides])
    if len(operation.after) == 1 and any(isinstance(value, Signal) and value.size != (1, 1) for value in values):
        flatten = Flatten(operation.where, operation.path, operation.before, operation.after)
        values = [flattened(flatten, value) if isinstance(value, Signal) else value for value in values]
    if any(isinstance(value, Signal) and value.flat and value.size != (1, 1) for value in values):
        flat = all(isinstance(value, Signal) and value.flat for value in values) and not ahead + behind
        if not flat:
            raise UnsupportedLayer(f"{operation.where}: must join images with images and features with features")
        return _features([value for value in values if isinstance(value, Signal)])
    if all(isinstance(value, Signal) for value in values):
        blocks = [block for value in values if isinstance(value, Signal) for block in value.blocks]
        front, back = ([zeros(count, size)] if count else [] for count in (ahead, behind))
        return Signal((*front, *blocks, *back))
    sums = [as_sum(operation, value) for value in values]
    if any(item.shape[1:] != sums[0].shape[1:] for item in sums):
        raise UnsupportedLayer(
            f"{operation.where}: must join images of one size before their activation; put ReLUs ahead of it"
        )
    channels, start = ahead + behind + sum(item.shape[0] for item in sums), ahead
    total: Sum | None = None
    for item in sums:
        part = placed(item, start, channels)
        total, start = part if total is None else added(total, part), start + item.shape[0]
    assert total is not None
    return total


def _sides(value: Value) -> tuple[Signal, Signal]:
    """Both signals of a mixture; of a single signal the second one is zero."""
    if isinstance(value, Mixture):
        first, second = value.signals
        return first, second
    assert isinstance(value, Signal)
    nothing = (
        replace(zeros(block.channels, block.size), scale=np.zeros_like(block.scale), shift=np.zeros_like(block.scale))
        for block in value.blocks
    )
    return value, replace(value, blocks=tuple(nothing))


def _features(values: Sequence[Signal]) -> Signal:
    """Features one after the other."""
    blocks = tuple(block for value in values for block in value.blocks)
    orders, start = [], 0
    for value in values:
        count = value.channels * value.size[0] * value.size[1]
        orders.append(start + (np.arange(count) if value.order is None else value.order))
        start += count
    order = None if all(value.order is None for value in values) else np.concatenate(orders)
    return Signal(blocks, True, order=order)


def flattened(operation: Flatten, value: Whole) -> Whole:
    """A value as features."""
    order, places = operation.order, value.image[1] * value.image[2]
    if order is not None and isinstance(value, Sum):
        raise UnsupportedLayer(f"{operation.where}: must not put {value.where} in another order; {AFTER}")
    if isinstance(value, Sum):
        return value
    if value.flat:
        if order is not None and value.order is not None:
            order = value.order[order]
        return value if order is None else replace(value, order=order)
    if order is not None and places == 1:
        at = operation.where, operation.path, operation.after, operation.after
        value, order = gathered(Gather(*at, tuple(order.tolist())), value), None
        assert isinstance(value, Signal)
    blocks = tuple(
        replace(block, scale=np.repeat(block.scale, places), shift=np.repeat(block.shift, places))
        for block in value.blocks
    )
    return replace(value, blocks=blocks, flat=True, order=order)
