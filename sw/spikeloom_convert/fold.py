"""Fold a chain of operations into weighted layers: batch norms, poolings and linear compositions disappear exactly."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from spikeloom.errors import UnsupportedLayer
from spikeloom.geometry import Conv2d, Dense, Pair, Shape

from .float_network import FloatLayer, FloatNetwork
from .operations import Affine, AveragePool, Convolution, Flatten, Linear, Operation, Rectify, Softmax

AFTER = "put a ReLU between them"


def fold(
    name: str, input_shape: Shape, operations: Sequence[Operation], *, low: float = 0.0, high: float = 1.0
) -> FloatNetwork:
    """Weighted layers of a traced chain.

    Parameters
    ----------
    name : class of the model, for errors and provenance.
    input_shape : (C, H, W) of the samples.
    operations : the chain, in order.
    low, high : range of the samples, which decides whether a ReLU on them does nothing.

    Raises
    ------
    UnsupportedLayer
        Where the chain is no sequence of weighted layers with ReLUs between them, or a fold would not be exact.
    """
    folder = _Folder(input_shape, low, high)
    for operation in operations:
        folder.add(operation)
    return folder.finish(name, input_shape)


@dataclass(frozen=True, eq=False)
class _Ahead:
    """What lies between a source and the next weighted layer: pooling, then scale * x + shift by channel or feature."""

    pool: Pair
    scale: np.ndarray
    shift: np.ndarray

    @property
    def plain(self) -> bool:
        return self.pool == (1, 1) and bool((self.scale == 1).all()) and not self.shift.any()

    def reaches(self, low: float, high: float) -> tuple[float, float]:
        """Least and largest value behind it when the source's lie in low..high, which may be infinite."""
        used = self.scale != 0  # 0 * infinity is no number
        ends = np.concatenate([self.scale[used] * end + self.shift[used] for end in (low, high)] + [self.shift[~used]])
        return float(ends.min()), float(ends.max())


def _ahead(channels: int) -> _Ahead:
    return _Ahead((1, 1), np.ones(channels), np.zeros(channels))


class _Folder:
    """The chain so far: finished layers, and either a weighted layer still open or what lies ahead of the next one."""

    def __init__(self, shape: Shape, low: float, high: float) -> None:
        self.layers: list[FloatLayer] = []
        self.notes: list[str] = []
        self.open: FloatLayer | None = None
        self.ahead = _ahead(shape[0])
        self.shape = shape  # of the source, before pooling
        self.low, self.high = low, high  # range of the source's values
        self.last: Operation | None = None
        self.ended: Softmax | None = None

    def add(self, operation: Operation) -> None:
        """Take the next operation of the chain."""
        if self.ended is not None and not isinstance(operation, Flatten):
            raise UnsupportedLayer(f"{self.ended.where}: must be the last layer; remove it or {operation.where}")
        match operation:
            case Linear():
                self._linear(operation)
            case Convolution():
                self._convolution(operation)
            case Affine():
                self._affine(operation)
            case Rectify():
                self._rectify(operation)
            case AveragePool():
                self._pool(operation)
            case Flatten():
                self._flatten()
            case Softmax():
                self.ended = operation
                self.notes.append(f"{operation.where} dropped: it keeps the order of the outputs")
        self.last = operation

    def finish(self, name: str, input_shape: Shape) -> FloatNetwork:
        """The whole network, its open layer the readout."""
        if self.open is None:
            if self.last is None or not self.layers:
                raise UnsupportedLayer(f"Model '{name}': must hold at least one Linear or Conv2d layer")
            raise UnsupportedLayer(
                f"{self.last.where}: must not end the network, the outputs are a weighted layer's potentials; "
                f"remove what follows the last Linear or Conv2d, or add one"
            )
        readout = replace(self.open, fires=False)
        return FloatNetwork(name, input_shape, (*self.layers, readout), tuple(self.notes))

    def _name(self, operation: Operation) -> str:
        plain = re.sub(r"[^a-z0-9]+", "_", operation.path.lower()).strip("_")
        if not plain or not plain[0].isalpha():
            plain = f"{'fc' if isinstance(operation, Linear) else 'conv'}{plain}"
        plain, taken = plain[:24], {"input", *(layer.name for layer in self.layers)}
        while plain in taken:
            plain += f"_{len(self.layers) + 1}"
        return plain

    def _linear(self, operation: Linear) -> None:
        weights, bias = operation.weights, operation.bias
        if self.open is not None:
            self._compose(operation)
            return
        bias = bias + weights @ self.ahead.shift
        weights = weights * self.ahead.scale
        shape = (len(weights), 1, 1)
        self.open = FloatLayer(self._name(operation), operation.where, Dense(self.ahead.pool), weights, bias, shape)

    def _compose(self, operation: Linear) -> None:
        """W2 (W1 x + b1) + b2 as one layer."""
        first = self.open
        assert first is not None
        if isinstance(first.geometry, Conv2d):
            raise UnsupportedLayer(f"{operation.where}: must not follow {first.where} without an activation; {AFTER}")
        self.notes.append(f"{operation.where} composed with {first.where}: no activation between them")
        self.open = replace(
            first,
            name=self._name(operation),
            where=operation.where,
            weights=operation.weights @ first.weights,
            bias=operation.weights @ first.bias + operation.bias,
            shape=(len(operation.weights), 1, 1),
        )

    def _convolution(self, operation: Convolution) -> None:
        if self.open is not None:
            raise UnsupportedLayer(
                f"{operation.where}: must not follow {self.open.where} without an activation; {AFTER}"
            )
        if operation.padding != (0, 0) and self.ahead.shift.any():
            raise UnsupportedLayer(
                f"{operation.where}: padding must be 0 after a shift (normalisation or a batch norm behind a ReLU), "
                f"not {operation.padding}: padded zeros would be shifted too; use padding=0 or remove the shift"
            )
        groups, weights = operation.groups, operation.weights
        per_group = weights.shape[1]
        # input channel of each [O, C/groups] weight
        channel = np.arange(per_group) + np.repeat(np.arange(groups), len(weights) // groups)[:, None] * per_group
        bias = operation.bias + np.einsum("oikl,oi->o", weights, self.ahead.shift[channel])
        weights = weights * self.ahead.scale[channel][:, :, None, None]
        kernel = (weights.shape[2], weights.shape[3])
        geometry = Conv2d(kernel, operation.stride, operation.padding, groups, self.ahead.pool)
        height, width = operation.after[1:]
        shape = (len(weights), height, width)
        self.open = FloatLayer(self._name(operation), operation.where, geometry, weights, bias, shape)

    def _affine(self, operation: Affine) -> None:
        scale, shift = operation.scale, operation.shift
        if self.open is None:
            ahead = self.ahead
            self.ahead = replace(ahead, scale=ahead.scale * scale, shift=ahead.shift * scale + shift)
            return
        layer = self.open
        channels = layer.shape[0]
        by_channel = [values.reshape(channels, -1) for values in (scale, shift)]
        if any((values != values[:, :1]).any() for values in by_channel):
            raise UnsupportedLayer(
                f"{operation.where}: must treat all places of a channel alike after {layer.where}; "
                f"use BatchNorm2d before Flatten"
            )
        scale, shift = by_channel[0][:, 0], by_channel[1][:, 0]
        weights = layer.weights * scale.reshape(-1, *[1] * (layer.weights.ndim - 1))
        self.open = replace(layer, weights=weights, bias=layer.bias * scale + shift)

    def _rectify(self, operation: Rectify) -> None:
        clip = operation.clip
        if self.open is not None:
            layer = replace(self.open, clip=clip)
            self.layers.append(layer)
            self.open, self.shape, self.ahead = None, layer.shape, _ahead(layer.shape[0])
            self.low, self.high = 0.0, np.inf if clip is None else clip
            return
        ahead = self.ahead
        lowest, highest = ahead.reaches(self.low, self.high)
        if lowest >= 0 and (clip is None or highest <= clip):
            return  # the values are there already
        if self.layers and ahead.plain and clip is not None:
            self.layers[-1] = replace(self.layers[-1], clip=clip)
            self.high = clip
            return
        raise UnsupportedLayer(
            f"{operation.where}: must follow a weighted layer; remove it or put a Linear or Conv2d before it"
        )

    def _pool(self, operation: AveragePool) -> None:
        window, factor = operation.window, operation.factor
        if window == (1, 1) and factor == 1.0:
            return
        if self.open is None:
            ahead = self.ahead
            pool = (ahead.pool[0] * window[0], ahead.pool[1] * window[1])
            self.ahead = _Ahead(pool, ahead.scale * factor, ahead.shift * factor)
            return
        layer = self.open
        if not isinstance(layer.geometry, Conv2d):  # 1x1 windows: the image of a dense layer has no more
            self.open = replace(layer, weights=layer.weights * factor, bias=layer.bias * factor)
            return
        self.notes.append(f"{operation.where} merged into {layer.where}: no activation between them")
        height, width = operation.after[1:]
        self.open = replace(
            layer,
            geometry=_pooled_geometry(layer.geometry, window),
            weights=_pooled_kernel(layer.weights, layer.geometry.stride, window) * factor,
            bias=layer.bias * factor,
            shape=(layer.shape[0], height, width),
        )

    def _flatten(self) -> None:
        if self.open is None:
            places = (self.shape[1] // self.ahead.pool[0]) * (self.shape[2] // self.ahead.pool[1])
            scale, shift = (np.repeat(values, places) for values in (self.ahead.scale, self.ahead.shift))
            self.ahead = replace(self.ahead, scale=scale, shift=shift)


def _pooled_geometry(geometry: Conv2d, window: Pair) -> Conv2d:
    """Convolution that equals `geometry` followed by averaging over windows: kernel K + (p-1)s, stride s*p."""
    (ky, kx), (sy, sx), (py, px) = geometry.kernel, geometry.stride, window
    return replace(geometry, kernel=(ky + (py - 1) * sy, kx + (px - 1) * sx), stride=(sy * py, sx * px))


def _pooled_kernel(weights: np.ndarray, stride: Pair, window: Pair) -> np.ndarray:
    """Sum of the shifted kernels over their number, [O, C/groups, kh + (py-1)sy, kw + (px-1)sx]."""
    *channels, kh, kw = weights.shape
    merged = np.zeros((*channels, kh + (window[0] - 1) * stride[0], kw + (window[1] - 1) * stride[1]))
    for y in range(window[0]):
        for x in range(window[1]):
            merged[..., y * stride[0] : y * stride[0] + kh, x * stride[1] : x * stride[1] + kw] += weights
    return merged / (window[0] * window[1])
