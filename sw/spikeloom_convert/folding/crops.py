"""Some rows and columns of a value: what is left of blocks, and what the connections of sums become."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from spikeloom.geometry import Conv2d, Diagonal, Shape
from spikeloom.windows import Windows

from ..float_network import FloatConnection, FloatLayer
from ..reading.operations import Crop
from .kernels import diagonal_as_convolution, symmetric
from .values import Block, Signal, Whole, regular


def cropped(operation: Crop, value: Whole) -> Whole:
    """Some rows and columns of a value."""
    rows, columns = operation.rows, operation.columns
    if isinstance(value, Signal):
        blocks = []
        for block in value.blocks:
            if block.source is None:
                blocks.append(replace(block, shape=(block.channels, len(rows), len(columns))))
            else:
                blocks.append(replace(block, kept=(_of(block.places[0], rows), _of(block.places[1], columns))))
        return replace(value, blocks=tuple(blocks))
    terms, bias, shape = _cropped_sum(operation, value.terms, value.bias, value.shape)
    return replace(value, terms=terms, bias=bias, shape=shape)


def without(operation: Crop, layer: FloatLayer) -> FloatLayer:
    """A population that has only some of its rows and columns."""
    terms, bias, shape = _cropped_sum(operation, layer.incoming, layer.bias, layer.shape)
    return replace(layer, incoming=terms, bias=bias, shape=shape)


def _cropped_sum(
    operation: Crop, terms: Sequence[FloatConnection], bias: np.ndarray, shape: Shape
) -> tuple[tuple[FloatConnection, ...], np.ndarray, Shape]:
    """Connections and bias of a sum, and its shape, at some rows and columns."""
    rows, columns = operation.rows, operation.columns
    if bias.shape[1:] != (1, 1):
        bias = bias[:, rows][:, :, columns]
    kept = tuple(_cropped_term(term, shape, (rows, columns)) for term in terms)
    return kept, bias, (shape[0], len(rows), len(columns))


def _of(places: range, kept: range) -> range:
    """The places that are kept of others, by their numbers."""
    return places[kept.start : kept.stop : kept.step]


def _cropped_term(term: FloatConnection, shape: Shape, kept: tuple[range, range]) -> FloatConnection:
    """What a connection adds to the rows and columns that are kept of a sum: it begins and ends elsewhere."""
    geometry, weights = term.geometry, term.weights
    if isinstance(geometry, Diagonal):
        if (stride := regular(kept, shape[1:])) is not None:
            stride = geometry.stride[0] * stride[0], geometry.stride[1] * stride[1]
            return replace(term, geometry=replace(geometry, stride=stride))
        geometry, weights = diagonal_as_convolution(geometry, weights, shape[0])
    if not isinstance(geometry, Conv2d):
        return term  # the image of a dense layer has one place
    sides, slack, (sy, sx) = [], [], geometry.stride
    for axis, places in enumerate(kept):
        padding, every = geometry.padding[axis], geometry.stride[axis]
        sides += [padding - places[0] * every, padding - (shape[1 + axis] - 1 - places[-1]) * every]
        slack.append(every * (places.step - 1))
    above, below, left, right = sides
    weights, padded = symmetric(weights, (above, below, left, right), (slack[0], slack[1]))
    kernel, stride = (weights.shape[2], weights.shape[3]), (sy * kept[0].step, sx * kept[1].step)
    return FloatConnection(term.source, replace(geometry, kernel=kernel, stride=stride, padding=padded), weights)


def under(windows: Windows, block: Block) -> tuple[range, range] | None:
    """Which maxima of the whole image are those of what is kept of it; None where they are not among them."""
    found = []
    for axis, (places, size) in enumerate(zip(block.places, block.pooled, strict=True)):
        stride, ahead, behind = windows.stride[axis], windows.ahead[axis], windows.behind[axis]
        beyond = (ahead and places[0]) or (behind and places[-1] != size - 1)  # the border would be another one
        if beyond or places.step != 1 or places[0] % stride:
            return None
        count = windows.outputs(*block.size)[axis]
        found.append(range(places[0] // stride, places[0] // stride + count))
    return found[0], found[1]
