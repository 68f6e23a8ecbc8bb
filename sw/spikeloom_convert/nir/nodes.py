"""The nodes of NIR without time, as operations: weights, poolings, scales, each with its shapes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from spikeloom.errors import InvalidNetwork, UnsupportedLayer, shown
from spikeloom.geometry import Pair, Shape

from ..reading.operations import Affine, AveragePool, Convolution, Linear, Operation, dilated

MAX_POPULATION = 1 << 22  # neurons, or values on the way, of a node
LEAST, MOST = 1e-15, 1e15  # of what is divided by, and of any number: products of them stay in float32
_TENSOR_AXES = 3


@dataclass(frozen=True)
class Place:
    """Where a node stands, for its operations and errors.

    Members
    -------
    where : `Node 'fc1' (Affine)`.
    name : of the node.
    before : (C, H, W) of what it gets.
    flat : whether that is seen as features in address order, behind a Flatten.
    source : number of the operation that gives it.
    """

    where: str
    name: str
    before: Shape
    flat: bool
    source: int

    @property
    def features(self) -> bool:
        """Whether it gets features: flattened, or only one axis has more than one place."""
        return self.flat or sum(extent > 1 for extent in self.before) <= 1

    def heads(self, after: Shape) -> tuple[str, str, Shape, Shape]:
        """The first fields of an operation."""
        if math.prod(after) > MAX_POPULATION:
            raise InvalidNetwork(f"{self.where}: must give at most {MAX_POPULATION} values, not {shown(after)}")
        return self.where, self.name, self.before, after


@dataclass(frozen=True, eq=False)
class Heaviside:
    """What a node adds to the network: an operation, if any, and the shape behind it, as `Place` has it."""

    operation: Operation | None
    after: Shape
    flat: bool = False


def image_of(shape: Sequence[int], who: str) -> Shape:
    """Shape of a NIR type, (F,), (C, L) or (C, H, W), as (C, H, W)."""
    if not 1 <= len(shape) <= _TENSOR_AXES or min(shape) < 1 or math.prod(shape) > MAX_POPULATION:
        most = f"of at most {MAX_POPULATION} values"
        raise InvalidNetwork(f"{who}: shape must be (F,), (C, L) or (C, H, W) {most}, not {shown(tuple(shape))}")
    if len(shape) == 1:
        return shape[0], 1, 1
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])


def numbers(node: nir.NIRNode, field: str, where: str) -> np.ndarray:
    """A parameter as float64; InvalidNetwork where it is no array of finite numbers."""
    value = getattr(node, field)
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # the last from tensors that want a gradient
        found = np.empty(0, object)
    if found.dtype.kind not in "biuf":
        raise InvalidNetwork(f"{where}: {field} must be numbers, not {shown(value)}")
    found = found.astype(np.float64)
    if bad := int((~np.isfinite(found)).sum()):
        raise InvalidNetwork(f"{where}: {field} must be finite, not NaN or infinite ({bad} of {found.size})")
    if not (np.abs(found) <= MOST).all():
        raise InvalidNetwork(f"{where}: {field} must lie in +-{MOST:g}, not reach {np.abs(found).max():g}; rescale it")
    if not found.size:
        raise InvalidNetwork(f"{where}: {field} must hold at least one number, not shape {found.shape}")
    return found


def by_channel(node: nir.NIRNode, field: str, place: Place) -> np.ndarray:
    """A parameter, one or one a neuron, as float64 [C]; UnsupportedLayer where neurons of a channel differ."""
    found, shape = numbers(node, field, place.where), place.before
    if found.size == 1:
        return np.full(shape[0], found.item())
    if found.size == math.prod(shape):
        found = found.reshape(shape[0], -1)
    elif found.size == shape[0] == found.shape[-_TENSOR_AXES:][0]:  # (C, 1, 1)
        found = found.reshape(-1, 1)
    else:
        expected = f"one number or one for each of {shape}"
        raise InvalidNetwork(f"{place.where}: {field} must be {expected}, not shape {found.shape}")
    if differing := int((found != found[:, :1]).any(1).sum()):
        raise UnsupportedLayer(
            f"{place.where}: {field} must be the same for all places of a channel, not differ "
            f"({differing} of {shape[0]} channels); use one value a channel"
        )
    return found[:, 0]


def read(node: nir.NIRNode, place: Place) -> Heaviside:
    """The step that a node is, neurons excepted; UnsupportedLayer naming a node of another kind."""
    if (reader := READERS.get(type(node))) is None:
        raise UnsupportedLayer(f"{place.where}: {OTHERS.get(type(node), OTHERWISE)}")
    return reader(node, place)


def _same(node: nir.NIRNode, place: Place) -> Heaviside:
    """An input or output, whose shape has to be that of what it gets."""
    given = shape_of(node, place.where)
    if math.prod(given) != math.prod(place.before):
        raise InvalidNetwork(f"{place.where}: shape must be that of its source, {place.before}, not {shown(given)}")
    return Heaviside(None, place.before, place.flat)


def _linear(node: Any, place: Place) -> Heaviside:
    weights, inputs = numbers(node, "weight", place.where), math.prod(place.before)
    if weights.ndim != 2 or weights.shape[1] != inputs:
        raise InvalidNetwork(f"{place.where}: weight must have shape (O, {inputs}), not {weights.shape}")
    if not place.features:
        raise UnsupportedLayer(f"{place.where}: must get features, not {place.before}; put a Flatten before it")
    outputs = len(weights)
    bias = _bias(node, outputs, place) if hasattr(node, "bias") else np.zeros(outputs)
    after = (outputs, 1, 1)
    return Heaviside(Linear(*place.heads(after), weights, bias, inputs=(place.source,)), after)


def _bias(node: Any, outputs: int, place: Place) -> np.ndarray:
    if node.bias is None:
        return np.zeros(outputs)
    bias = numbers(node, "bias", place.where)
    if bias.size != outputs:
        raise InvalidNetwork(f"{place.where}: bias must have shape ({outputs},), not {bias.shape}")
    return bias.reshape(outputs)


def _convolution(node: Any, place: Place) -> Heaviside:
    """A dilated kernel becomes a larger one with zeros in it."""
    weights, where, flat = numbers(node, "weight", place.where), place.where, isinstance(node, nir.Conv1d)
    if weights.ndim != (3 if flat else 4):
        raise InvalidNetwork(f"{where}: weight must have {3 if flat else 4} axes, not shape {weights.shape}")
    if place.flat or (flat and place.before[1] != 1):
        expected = "(C, L)" if flat else "(C, H, W)"
        raise UnsupportedLayer(f"{where}: must get {expected}, not {place.before}{' flattened' if place.flat else ''}")
    if flat:
        weights = weights[:, :, None]
    (groups,) = integers(node, "groups", where, length=1)
    outputs, per_group = weights.shape[:2]
    if per_group * groups != place.before[0] or outputs % groups:
        expected = f"{place.before[0]} channels in {groups} groups"
        raise InvalidNetwork(f"{where}: weight must be for {expected}, not have shape {weights.shape}")
    stride, dilation = _pair(node, "stride", where, flat), _pair(node, "dilation", where, flat)
    extents = [(size - 1) * wide + 1 for size, wide in zip(weights.shape[2:], dilation, strict=True)]
    padding = _padding(node, where, flat, extents, stride)
    sizes = [
        (size + 2 * pad - extent) // step + 1 if size + 2 * pad >= extent else 0
        for size, pad, extent, step in zip(place.before[1:], padding, extents, stride, strict=True)
    ]
    after: Shape = (outputs, sizes[0], sizes[1])
    if min(sizes) < 1:
        raise InvalidNetwork(f"{where}: kernel must fit into {place.before[1:]}, not span {tuple(extents)}")
    heads = place.heads(after)
    weights = dilated(weights, dilation)
    bias = _bias(node, outputs, place)
    return Heaviside(Convolution(*heads, weights, bias, stride, padding, groups, inputs=(place.source,)), after)


def _padding(node: Any, where: str, flat: bool, extents: Sequence[int], stride: Pair) -> Pair:
    if not isinstance(node.padding, str):
        padding = _pair(node, "padding", where, flat, least=0)
        if any(pad >= extent for pad, extent in zip(padding, extents, strict=True) if pad):
            raise InvalidNetwork(
                f"{where}: padding must be less than the kernel spans, {tuple(extents)}, not {padding}"
            )
        return padding
    if node.padding == "valid":
        return 0, 0
    if node.padding != "same":
        raise InvalidNetwork(f"{where}: padding must be numbers, 'same' or 'valid', not {shown(node.padding)}")
    if any(extent % 2 == 0 for extent in extents) or stride != (1, 1):
        raise UnsupportedLayer(
            f"{where}: padding 'same' needs odd kernels and stride 1, not {tuple(extents)} and {stride}; "
            f"use a number as padding"
        )
    return extents[0] // 2, extents[1] // 2


def _pool(node: Any, place: Place) -> Heaviside:
    if place.flat:
        raise UnsupportedLayer(f"{place.where}: must be before Flatten")
    kernel = _pair(node, "kernel_size", place.where, False)
    stride, padding = _pair(node, "stride", place.where, False), _pair(node, "padding", place.where, False, least=0)
    if stride != kernel or padding != (0, 0):
        raise UnsupportedLayer(
            f"{place.where}: stride must equal the kernel_size {kernel} and padding be 0, not {stride} and {padding}; "
            f"use a Conv2d with equal weights"
        )
    channels, height, width = place.before
    after: Shape = (channels, height // kernel[0], width // kernel[1])
    if min(after) < 1:
        raise InvalidNetwork(f"{place.where}: kernel_size must fit into {place.before[1:]}, not be {kernel}")
    factor = float(kernel[0] * kernel[1]) if isinstance(node, nir.SumPool2d) else 1.0
    return Heaviside(AveragePool(*place.heads(after), kernel, factor, inputs=(place.source,)), after)


def _scale(node: nir.Scale, place: Place) -> Heaviside:
    scale = by_channel(node, "scale", place)
    zeros = np.zeros(len(scale))
    return Heaviside(Affine(*place.heads(place.before), scale, zeros, inputs=(place.source,)), place.before, place.flat)


def _flatten(node: nir.Flatten, place: Place) -> Heaviside:
    """Which axes there are is only known of the graph: all that matters must become one."""
    ends = [integers(node, field, place.where, length=1, least=-8)[0] for field in ("start_dim", "end_dim")]
    known = isinstance(node.input_type, dict) and node.input_type.get("input") is not None
    shape = shape_of(node, place.where) if known else place.before
    if math.prod(shape) != math.prod(place.before):
        raise InvalidNetwork(f"{place.where}: input_type must be {place.before}, not {shown(shape)}")
    first, last = (end + len(shape) if end < 0 else end for end in ends)
    outside = [*shape[:first], *shape[last + 1 :]]
    if math.prod(outside) != 1:
        raise UnsupportedLayer(
            f"{place.where}: must flatten all of {tuple(shape)}, not the axes {ends[0]}..{ends[1]}; "
            f"use start_dim 0 and end_dim -1"
        )
    return Heaviside(None, place.before, True)


def shape_of(node: nir.NIRNode, where: str) -> tuple[int, ...]:
    """The one shape in the type of what a node gets."""
    given = node.input_type
    return integers(node, "input_type", where, given.get("input") if isinstance(given, dict) else None)


def integers(
    node: nir.NIRNode, field: str, where: str, value: Any = None, *, length: int | None = None, least: int = 1
) -> tuple[int, ...]:
    """A parameter as integers of at least `least`, one or several, `length` of them if that is given."""
    value = getattr(node, field) if value is None else value
    try:
        found = np.atleast_1d(np.asarray(value))
    except (TypeError, ValueError):
        found = np.zeros(0)
    fits = found.ndim == 1 and 0 < found.size <= 8 and length in (None, found.size)
    if not fits or found.dtype.kind not in "iu" or int(found.min()) < least or int(found.max()) > MAX_POPULATION:
        count = "integers" if length is None else "one integer" if length == 1 else f"{length} integers"
        raise InvalidNetwork(f"{where}: {field} must be {count} of at least {least}, not {shown(value)}")
    return tuple(int(item) for item in found)


def _pair(node: nir.NIRNode, field: str, where: str, flat: bool, least: int = 1) -> Pair:
    """One or two numbers as (vertical, horizontal); a sequence has the axis that is missing ahead."""
    found = integers(node, field, where, least=least)
    if len(found) > 2 or (flat and len(found) > 1):
        raise InvalidNetwork(f"{where}: {field} must be {'one integer' if flat else 'two integers'}, not {found}")
    if flat:
        return least, found[0]
    return (found[0], found[0]) if len(found) == 1 else (found[0], found[1])


READERS: dict[type, Callable[[Any, Place], Heaviside]] = {
    nir.Input: _same,
    nir.Output: _same,
    nir.Linear: _linear,
    nir.Affine: _linear,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Scale: _scale,
    nir.Flatten: _flatten,
}
_CURRENT = "must have no synaptic current of its own, which no neuron here has"
OTHERS = {
    nir.CubaLIF: f"{_CURRENT}; train with LIF or IF",
    nir.CubaLI: f"{_CURRENT}; train with LI or I",
    nir.Threshold: "must be a neuron with a potential, not a bare threshold; use IF or LIF",
    nir.Delay: "must be left out, spikes are heard in the time step they are fired in; train without delays",
}
OTHERWISE = (
    "must be Input, Output, Linear, Affine, Conv1d, Conv2d, Scale, SumPool2d, AvgPool2d, Flatten, IF or LIF, "
    "or I or LI as the last node"
)
