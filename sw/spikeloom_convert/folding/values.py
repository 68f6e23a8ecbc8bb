"""What a value inside a model is: activations of populations on their way, or weighted sums of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from spikeloom.geometry import Pair, Shape
from spikeloom.windows import SINGLE, Windows

from ..float_network import FloatConnection


@dataclass(frozen=True, eq=False)
class Block:
    """Some channels of a source on their way to the next weighted layer: pooled, then scale * x + shift.

    Parameters
    ----------
    source, shape : name and (C, H, W) of the source; source None: channels of zeros.
    first, stop : its channels.
    stride : rows and columns that are kept, instead of pooling.
    windows, pool_kind : of the pooling on the connection, see `spikeloom.windows`.
    mean : averaging window behind a maximum, which goes into the weights.
    scale, shift : float64 [c], or [c*h*w] once flattened.
    """

    source: str | None
    shape: Shape
    first: int
    stop: int
    scale: np.ndarray
    shift: np.ndarray
    stride: Pair = (1, 1)
    windows: Windows = SINGLE
    pool_kind: str = "average"
    mean: Pair = (1, 1)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.stop - self.first

    @property
    def size(self) -> Pair:
        """(height, width) behind pooling and subsampling."""
        high, wide = (-(-(self.pooled[i] // self.mean[i]) // self.stride[i]) for i in range(2))
        return high, wide

    @property
    def pooled(self) -> Pair:
        """(height, width) behind the pooling on the connection."""
        return self.windows.outputs(*self.shape[1:])

    @property
    def pooling(self) -> dict[str, Any]:
        """The pooling on the connection, as options of its geometry."""
        return self.windows.options(self.pool_kind)

    @property
    def whole(self) -> bool:
        """All channels of a source."""
        return self.source is not None and (self.first, self.stop) == (0, self.shape[0])

    @property
    def direct(self) -> bool:
        """Neither pooled nor subsampled."""
        return self.windows == SINGLE and self.mean == self.stride == (1, 1)

    @property
    def plain(self) -> bool:
        """The source itself."""
        return self.whole and self.direct and bool((self.scale == 1).all()) and not self.shift.any()


@dataclass(frozen=True, eq=False)
class Signal:
    """Activations ahead of the next weighted layer: blocks of channels, in order.

    Parameters
    ----------
    blocks : one behind the other.
    flat : flattened, so that scale and shift are those of features.
    pad : rows and columns of zeros above, below, on the left and on the right, for the next convolution.
    order : int64 address of each feature, where they are not flattened in address order.
    """

    blocks: tuple[Block, ...]
    flat: bool = False
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    order: np.ndarray | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return sum(block.channels for block in self.blocks)

    @property
    def size(self) -> Pair:
        """(height, width) of the image."""
        return self.blocks[0].size

    @property
    def image(self) -> Shape:
        """(C, H, W) with the zeros around it."""
        above, below, left, right = self.pad
        return self.channels, self.size[0] + above + below, self.size[1] + left + right

    @property
    def scale(self) -> np.ndarray:
        """Scales of all blocks."""
        return np.concatenate([block.scale for block in self.blocks])

    @property
    def shift(self) -> np.ndarray:
        """Shifts of all blocks."""
        return np.concatenate([block.shift for block in self.blocks])


@dataclass(frozen=True, eq=False)
class Mixture:
    """Signals whose sum is the value, as of a leaky ReLU; what is linear is done to each of them.

    Parameters
    ----------
    signals : of equal shapes.
    where : who gave it.
    """

    signals: tuple[Signal, ...]
    where: str

    @property
    def pad(self) -> tuple[int, int, int, int]:
        """Zeros around it."""
        return self.signals[0].pad

    @property
    def image(self) -> Shape:
        """(C, H, W) with the zeros around it."""
        return self.signals[0].image


@dataclass(frozen=True, eq=False)
class Sum:
    """A weighted sum that is still open: connections and a bias, float64 [O, 1, 1] or [O, H, W].

    Parameters
    ----------
    terms, bias, shape : of the population it becomes.
    where, path, kind : of the operation it is named after.
    largest : windows of a maximum that is taken behind the activation.
    """

    terms: tuple[FloatConnection, ...]
    bias: np.ndarray
    shape: Shape
    where: str
    path: str
    kind: str
    largest: Windows = SINGLE

    @property
    def image(self) -> Shape:
        """(C, H, W) behind the maximum."""
        return self.shape[0], *self.largest.outputs(*self.shape[1:])


Whole = Signal | Sum
Value = Whole | Mixture
