"""Connectivity: which source neuron reaches which target neuron, said once for golden model, gates and SOP count.

A geometry maps a source of shape (C, H, W), pooled on the way by windows of `pool`, to a target of shape (O, H', W').

Average pooling takes the integer sum, its 1/(py*px) is in the scale: every event of the source reaches the synapses.
Its windows lie side by side, positions beyond floor(H/p)*p are dropped. Max pooling acts on trains: what reaches the
synapses is the largest train of each window, as `heard` says; its windows may overlap, and reach beyond the border.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .checks import MAX_NEURONS, is_integer
from .errors import shown
from .windows import Pair, Shape, Windows, pair_violations

POOL_KINDS = ("average", "max")


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
    def subsampled(cls, *, size: int, stride: int) -> "Axis":
        """Landing of a diagonal connection: every `stride`-th coordinate meets its output, kernel index 0."""
        place = np.arange(size)
        count = (place % stride == 0).astype(np.int64)
        return cls(count, np.zeros(size, np.int64), np.where(count, place // stride, 0), stride)

    @classmethod
    def whole(cls, *, size: int, pool: int) -> "Axis":
        """Landing of a dense connection: the pooled coordinate is the kernel index, every event lands once."""
        pooled = np.arange(size) // pool
        count = (pooled < size // pool).astype(np.int64)
        return cls(count, np.where(count, pooled, 0), np.zeros(size, np.int64), 1)


def even_bits(number: int) -> int:
    """How often 2 divides a number."""
    return (number & -number).bit_length() - 1


class _Pooled:
    """What geometries with pooling windows have in common."""

    pool: Pair
    pool_kind: str
    pool_stride: Pair | None
    pool_ahead: Pair
    pool_behind: Pair

    @property
    def windows(self) -> Windows:
        """Where the pooling windows lie."""
        stride = self.pool if self.pool_stride is None else self.pool_stride
        return Windows(self.pool, stride, self.pool_ahead, self.pool_behind)

    @property
    def max_windows(self) -> Windows | None:
        """Windows of max pooling, None where there is none."""
        return self.windows if self.pool_kind == "max" else None

    def pooled(self, source: Shape) -> Shape:
        """Shape of what meets the weights."""
        return source[0], *self.windows.outputs(*source[1:])

    @property
    def summed(self) -> int:
        """Neurons of the source whose values are summed before they meet a weight: 1 under max pooling."""
        return 1 if self.pool_kind == "max" else self.pool[0] * self.pool[1]

    def heard(self, source: Shape) -> Shape:
        """Shape of the trains whose events reach the synapses: behind max pooling, the source's own otherwise."""
        return self.pooled(source) if self.pool_kind == "max" else source

    def _window(self) -> Pair:
        """Window that an event's coordinates are still divided by."""
        return (1, 1) if self.pool_kind == "max" else self.pool


@dataclass(frozen=True)
class Dense(_Pooled):
    """Every (pooled) source neuron reaches every target neuron; weights [O, C*(H/p)*(W/p)] in address order.

    Parameters
    ----------
    pool : (py, px), pooling window on the way.
    pool_kind : "average" or "max".
    pool_stride : from window to window, as `pool`; None: they lie side by side, as they must under average pooling.
    pool_ahead, pool_behind : places ahead of the image where the first window begins, and behind it where the last may
        end; what lies beyond the border takes no part in the maximum.
    """

    pool: Pair = (1, 1)
    pool_kind: str = "average"
    pool_stride: Pair | None = None
    pool_ahead: Pair = (0, 0)
    pool_behind: Pair = (0, 0)
    kind: ClassVar[str] = "dense"

    def weight_shape(self, source: Shape, target: Shape) -> tuple[int, ...]:
        """Shape the integer weights must have."""
        return int(np.prod(target)), int(np.prod(self.pooled(source)))

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        found = _kind_violations(self.pool_kind) + self.windows.malformed()
        found = found or self.windows.violations(source, self.pool_kind)
        if target[1:] != (1, 1):
            found.append(f"the target of a dense connection must have shape (O, 1, 1), not {target}")
        return found

    def axes(self, source: Shape, target: Shape) -> tuple[Axis, Axis]:
        """Landing tables (vertical, horizontal) of the coordinates of events, see `heard`."""
        (_, height, width), (py, px) = self.heard(source), self._window()
        return Axis.whole(size=height, pool=py), Axis.whole(size=width, pool=px)

    def edges(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray]:
        """As `Conv2d.edges`: there is only one output coordinate."""
        return np.zeros((target[1], 2), np.int64), np.zeros((target[2], 2), np.int64)

    def kernel_shape(self, source: Shape) -> Pair:
        """Extent of the weights along both axes."""
        return self.pooled(source)[1:]

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        """SOPs that one event costs, int64 of the shape `heard`: positions that land only."""
        vertical, horizontal = self.axes(source, target)
        return np.broadcast_to(np.outer(vertical.count, horizontal.count) * target[0], self.heard(source))


@dataclass(frozen=True)
class Conv2d(_Pooled):
    """A two-dimensional convolution over the (pooled) source; weights [O, C/groups, kh, kw] as in PyTorch.

    Parameters
    ----------
    kernel, stride, padding : (vertical, horizontal); zero padding.
    groups : channel groups, divides C and O.
    pool, pool_kind, pool_stride, pool_ahead, pool_behind : pooling windows on the way, as for `Dense`.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    pool: Pair = (1, 1)
    pool_kind: str = "average"
    pool_stride: Pair | None = None
    pool_ahead: Pair = (0, 0)
    pool_behind: Pair = (0, 0)
    kind: ClassVar[str] = "conv2d"

    def weight_shape(self, source: Shape, target: Shape) -> tuple[int, ...]:
        """Shape the integer weights must have."""
        return (target[0], source[0] // self.groups, *self.kernel)

    def output_size(self, source: Shape) -> Pair:
        """(H', W') of the target."""
        pooled = self.pooled(source)[1:]
        vertical, horizontal = (
            (pooled[i] + 2 * self.padding[i] - self.kernel[i]) // self.stride[i] + 1 for i in range(2)
        )
        return vertical, horizontal

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        found = [
            sentence
            for name, least in (("kernel", 1), ("stride", 1), ("padding", 0))
            for sentence in pair_violations(name, getattr(self, name), least)
        ]
        found += self.windows.malformed()
        if not is_integer(self.groups, 1, MAX_NEURONS):
            found.append(f"groups must be an integer of at least 1, not {shown(self.groups)}")
        found += _kind_violations(self.pool_kind)
        if found:
            return found
        found = self.windows.violations(source, self.pool_kind)
        if source[0] % self.groups or target[0] % self.groups:
            found.append(f"groups must divide {source[0]} source and {target[0]} target channels, not {self.groups}")
        if not found and self.output_size(source) != target[1:]:
            found.append(f"the target must be {self.output_size(source)} high and wide, not {target[1:]}")
        return found

    def axes(self, source: Shape, target: Shape) -> tuple[Axis, Axis]:
        """Landing tables (vertical, horizontal) of the coordinates of events, see `heard`."""
        heard, window = self.heard(source), self._window()
        vertical, horizontal = (
            Axis.sliding(
                size=heard[1 + i],
                pool=window[i],
                kernel=self.kernel[i],
                stride=self.stride[i],
                padding=self.padding[i],
                outputs=target[1 + i],
            )
            for i in range(2)
        )
        return vertical, horizontal

    def edges(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray]:
        """First kernel index inside the padded image and first one behind it, of every output coordinate.

        Int64 ([H', 2], [W', 2]): outputs that agree in both see the same of the padding.
        """
        found = []
        for i, size in enumerate(self.pooled(source)[1:]):
            place = np.arange(target[1 + i], dtype=np.int64) * self.stride[i] - self.padding[i]
            seen = np.stack([-place, size - place], 1).clip(0, self.kernel[i])
            found.append(np.where(seen[:, :1] < seen[:, 1:], seen, 0))  # outputs that see nothing are alike
        return found[0], found[1]

    def kernel_shape(self, source: Shape) -> Pair:
        """Extent of the weights along both axes."""
        return self.kernel

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        """SOPs that one event costs, int64 of the shape `heard`: positions that land only."""
        vertical, horizontal = self.axes(source, target)
        fan = np.outer(vertical.count, horizontal.count) * (target[0] // self.groups)
        return np.broadcast_to(fan, self.heard(source))


@dataclass(frozen=True)
class Diagonal:
    """A residual branch: neuron to neuron; weights [C], one a source channel.

    Source channel c at (y, x) reaches target channel c + channel_offset at (y/sy, x/sx) where the strides divide y and
    x; the target's other channels hear nothing.

    Parameters
    ----------
    stride : (vertical, horizontal).
    channel_offset : number of target channels before the first one reached.
    """

    stride: Pair = (1, 1)
    channel_offset: int = 0
    kind: ClassVar[str] = "diagonal"

    def weight_shape(self, source: Shape, target: Shape) -> tuple[int, ...]:
        """Shape the integer weights must have: one a source channel."""
        return (source[0],)

    @property
    def summed(self) -> int:
        """Neurons of the source whose values are summed before they meet a weight."""
        return 1

    @property
    def max_windows(self) -> None:
        """Windows of max pooling: there is none."""
        return None

    def heard(self, source: Shape) -> Shape:
        """Shape of the trains whose events reach the synapses: the source's own."""
        return source

    def axes(self, source: Shape, target: Shape) -> tuple[Axis, Axis]:
        """Landing tables (vertical, horizontal) of the coordinates of events."""
        return (
            Axis.subsampled(size=source[1], stride=self.stride[0]),
            Axis.subsampled(size=source[2], stride=self.stride[1]),
        )

    def edges(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray]:
        """As `Conv2d.edges`: nothing is padded."""
        return np.zeros((target[1], 2), np.int64), np.zeros((target[2], 2), np.int64)

    def kernel_shape(self, source: Shape) -> Pair:
        """Extent of the weights along both axes."""
        return 1, 1

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        """SOPs that one event costs, int64 [C, H, W]: positions that land only."""
        vertical, horizontal = self.axes(source, target)
        return np.broadcast_to(np.outer(vertical.count, horizontal.count), source)

    def violations(self, source: Shape, target: Shape) -> list[str]:
        """What is wrong with this geometry between these shapes, as a list of sentences."""
        if found := pair_violations("stride", self.stride, 1):
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


def border_classes(edges: list[np.ndarray]) -> np.ndarray:
    """Class of every output coordinate of an axis, int64 [S], from the edges [S, 2] of all connections that end there.

    Coordinates that see the same of every padding share a class; classes are numbered from 0 in order of appearance.
    """
    rows = np.concatenate(edges, 1)
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)]


def _kind_violations(kind: object) -> list[str]:
    fine = isinstance(kind, str) and kind in POOL_KINDS
    return [] if fine else [f"pool_kind must be {' or '.join(POOL_KINDS)}, not {shown(kind)}"]
