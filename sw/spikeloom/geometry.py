"""Connectivity: which source neuron reaches which target neuron, said once for golden model, gates and SOP count.

A geometry maps a source of shape (C, H, W), pooled on the way by windows of `pool` (stride equal to the window,
positions beyond floor(H/p)*p dropped), to a target of shape (O, H', W').
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .checks import MAX_NEURONS, is_integer
from .errors import shown

Shape = tuple[int, int, int]
Pair = tuple[int, int]

MAX_EXTENT = 1 << 16  # of kernels, strides, paddings and windows


@dataclass(frozen=True)
class Axis:
    """Where each source coordinate of one axis lands: kernel index `first + j*stride` meets output `output - j`.

    `count` [S] positions that land (0: none), `first` [S] kernel index of the first, `output` [S] its output
    coordinate, for S source coordinates before pooling.
    """

    count: np.ndarray
    first: np.ndarray
    output: np.ndarray
    stride: int

    @classmethod
    def sliding(cls, *, size: int, pool: int, kernel: int, stride: int, padding: int, outputs: int) -> "Axis":
        """Landing of a sliding window on `size` source coordinates: pooled + padding = output*stride + kernel index."""
        pooled = np.arange(size) // pool
        place = pooled + padding
        lowest = np.maximum(place - (outputs - 1) * stride, place % stride)
        first = lowest + (place - lowest) % stride
        last = np.minimum(kernel - 1, place)
        count = np.maximum((last - first) // stride + 1, 0)
        count[(pooled >= size // pool) | (first > last)] = 0
        return cls(count, np.where(count, first, 0), np.where(count, (place - first) // stride, 0), stride)

    @classmethod
    def whole(cls, *, size: int, pool: int) -> "Axis":
        """Landing of a dense connection: the pooled coordinate is the kernel index, every event lands once."""
        pooled = np.arange(size) // pool
        count = (pooled < size // pool).astype(np.int64)
        return cls(count, np.where(count, pooled, 0), np.zeros(size, np.int64), 1)


def _pooled(source: Shape, pool: Pair) -> Shape:
    return source[0], source[1] // pool[0], source[2] // pool[1]


@dataclass(frozen=True)
class Dense:
    """Every (pooled) source neuron reaches every target neuron; weights [O, C*(H/p)*(W/p)] in address order.

    Parameters
    ----------
    pool : (py, px), average-pooling window on the way; the integer sum is taken, its 1/(py*px) is in the scale.
    """

    pool: Pair = (1, 1)
    kind: ClassVar[str] = "dense"

    def weight_shape(self, source: Shape, target: Shape) -> tuple[int, ...]:
        """Shape the integer weights must have."""
        return int(np.prod(target)), int(np.prod(_pooled(source, self.pool)))

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        found = _pair_violations("pool", self.pool, 1) or _pool_violations(source, self.pool)
        if target[1:] != (1, 1):
            found.append(f"the target of a dense connection must have shape (O, 1, 1), not {target}")
        return found

    def axes(self, source: Shape, target: Shape) -> tuple[Axis, Axis]:
        """Landing tables (vertical, horizontal) of the source coordinates."""
        return (Axis.whole(size=source[1], pool=self.pool[0]), Axis.whole(size=source[2], pool=self.pool[1]))

    def kernel_shape(self, source: Shape) -> Pair:
        """Extent of the weights along both axes."""
        return _pooled(source, self.pool)[1:]

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        """SOPs one event of each source neuron costs, [C, H, W]: positions that land only."""
        vertical, horizontal = self.axes(source, target)
        return np.broadcast_to(np.outer(vertical.count, horizontal.count) * target[0], source)


@dataclass(frozen=True)
class Conv2d:
    """A two-dimensional convolution over the (pooled) source; weights [O, C/groups, kh, kw] as in PyTorch.

    Parameters
    ----------
    kernel, stride, padding : (vertical, horizontal); zero padding.
    groups : channel groups, divides C and O.
    pool : average-pooling window on the way, as for `Dense`.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    pool: Pair = (1, 1)
    kind: ClassVar[str] = "conv2d"

    def weight_shape(self, source: Shape, target: Shape) -> tuple[int, ...]:
        """Shape the integer weights must have."""
        return (target[0], source[0] // self.groups, *self.kernel)

    def output_size(self, source: Shape) -> Pair:
        """(H', W') of the target."""
        pooled = _pooled(source, self.pool)[1:]
        vertical, horizontal = (
            (pooled[i] + 2 * self.padding[i] - self.kernel[i]) // self.stride[i] + 1 for i in range(2)
        )
        return vertical, horizontal

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        found = [
            sentence
            for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("pool", 1))
            for sentence in _pair_violations(name, getattr(self, name), least)
        ]
        if not is_integer(self.groups, 1, MAX_NEURONS):
            found.append(f"groups must be an integer of at least 1, not {shown(self.groups)}")
        if found:
            return found
        found = _pool_violations(source, self.pool)
        if source[0] % self.groups or target[0] % self.groups:
            found.append(f"groups must divide {source[0]} source and {target[0]} target channels, not {self.groups}")
        if not found and self.output_size(source) != target[1:]:
            found.append(f"the target must be {self.output_size(source)} high and wide, not {target[1:]}")
        return found

    def axes(self, source: Shape, target: Shape) -> tuple[Axis, Axis]:
        """Landing tables (vertical, horizontal) of the source coordinates."""
        vertical, horizontal = (
            Axis.sliding(
                size=source[1 + i],
                pool=self.pool[i],
                kernel=self.kernel[i],
                stride=self.stride[i],
                padding=self.padding[i],
                outputs=target[1 + i],
            )
            for i in range(2)
        )
        return vertical, horizontal

    def kernel_shape(self, source: Shape) -> Pair:
        """Extent of the weights along both axes."""
        return self.kernel

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        """SOPs one event of each source neuron costs, [C, H, W]: positions that land only."""
        vertical, horizontal = self.axes(source, target)
        return np.broadcast_to(np.outer(vertical.count, horizontal.count) * (target[0] // self.groups), source)


@dataclass(frozen=True)
class Diagonal:
    """A residual branch: neuron to neuron, subsampled by `stride`, shifted by `channel_offset` channels.

    Prepared for in the type; golden model and gates refuse it by name.
    """

    stride: Pair = (1, 1)
    channel_offset: int = 0
    kind: ClassVar[str] = "diagonal"

    def weight_shape(self, source: Shape, target: Shape) -> tuple[int, ...]:
        """Shape the integer weights must have: one a source channel."""
        return (source[0],)

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        if found := _pair_violations("stride", self.stride, 1):
            return found
        room = target[0] - source[0]
        if not is_integer(self.channel_offset, 0, room):
            found.append(f"channel_offset must be in 0..{room}, not {shown(self.channel_offset)}")
        expected = tuple(-(-size // stride) for size, stride in zip(source[1:], self.stride, strict=True))
        if target[1:] != expected:
            found.append(f"the target must be {expected} high and wide, not {target[1:]}")
        return found


Geometry = Dense | Conv2d | Diagonal
GEOMETRIES: dict[str, type] = {kind.kind: kind for kind in (Dense, Conv2d, Diagonal)}


def _pair_violations(name: str, pair: object, least: int) -> list[str]:
    if isinstance(pair, tuple) and len(pair) == 2 and all(is_integer(extent, least, MAX_EXTENT) for extent in pair):
        return []
    return [f"{name} must be two integers in {least}..{MAX_EXTENT}, not {shown(pair)}"]


def _pool_violations(source: Shape, pool: Pair) -> list[str]:
    if pool[0] > source[1] or pool[1] > source[2]:
        return [f"pool must be between 1 and the source's {source[1:]}, not {pool}"]
    return []
