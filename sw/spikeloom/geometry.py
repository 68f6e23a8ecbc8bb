"""Connectivity: which source neuron reaches which target neuron, said once for golden model, gates and SOP count.

A geometry maps a source of shape (C, H, W), pooled on the way by windows of `pool` (stride equal to the window,
positions beyond floor(H/p)*p dropped), to a target of shape (O, H', W').
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

Shape = tuple[int, int, int]
Pair = tuple[int, int]


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
        """Landing of a sliding window over `size` source coordinates, found from pooled + padding = output*stride + k."""
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
        found = _pool_violations(source, self.pool)
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
        return (target[0], source[0] // max(self.groups, 1), *self.kernel)

    def output_size(self, source: Shape) -> Pair:
        """(H', W') of the target."""
        _, height, width = _pooled(source, self.pool)
        vertical, horizontal = (
            (size + 2 * padding - kernel) // stride + 1
            for size, padding, kernel, stride in zip((height, width), self.padding, self.kernel, self.stride, strict=True)
        )
        return vertical, horizontal

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        found = _pool_violations(source, self.pool)
        if min(*self.kernel, *self.stride, self.groups) < 1 or min(self.padding) < 0:
            return [*found, "kernel, stride and groups must be at least 1 and padding at least 0"]
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
        if not 0 <= self.channel_offset <= target[0] - source[0]:
            return [f"channel_offset must lie in 0..{target[0] - source[0]}, not {self.channel_offset}"]
        return []


Geometry = Dense | Conv2d | Diagonal
GEOMETRIES: dict[str, type] = {kind.kind: kind for kind in (Dense, Conv2d, Diagonal)}


def _pool_violations(source: Shape, pool: Pair) -> list[str]:
    if min(pool) < 1 or pool[0] > source[1] or pool[1] > source[2]:
        return [f"pool must be between 1 and the source's {source[1:]}, not {pool}"]
    return []
