"""What a value inside a model is: activations of populations on their way, or weighted sums of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from spikeloom.geometry import Pair, Shape
from spikeloom.windows import SINGLE, Windows

from ..float_network import FloatConnection


def regular(places: tuple[range, range], size: Pair) -> Pair | None:
    """The stride that takes just these rows and columns of an image, beginning with the first; None: no stride does."""
    stride = places[0].step, places[1].step
    return stride if places == tuple(range(0, size[i], stride[i]) for i in range(2)) else None


@dataclass(frozen=True, eq=False)
class Block:
    """Some channels of a source on their way to the next weighted layer: pooled, cropped, then scale * x + shift.

    Parameters
    ----------
    source, shape : name and (C, H, W) of the source; source None: channels of zeros.
    first, stop : its channels.
    windows, pool_kind : of the pooling on the connection, see `spikeloom.windows`.
    kept : rows and columns that are kept of what it gives, None: all.
    mean : window that is averaged from each of them on, which goes into the weights; it ends before the next one.
    scale, shift : float64 [c], or [c*h*w] once flattened.
    """

    source: str | None
    shape: Shape
    first: int
    stop: int
    scale: np.ndarray
    shift: np.ndarray
    windows: Windows = SINGLE
    pool_kind: str = "average"
    kept: tuple[range, range] | None = None
    mean: Pair = (1, 1)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.stop - self.first

    @property
    def size(self) -> Pair:
        """(height, width) behind pooling and cropping."""
        rows, columns = self.places
        return len(rows), len(columns)

    @property
    def places(self) -> tuple[range, range]:
        """Rows and columns that are kept of what the pooling gives."""
        height, width = self.pooled
        return self.kept or (range(height), range(width))

    @property
    def cropped(self) -> bool:
        """Whether places are left out, other than those that are too few for a window of the mean."""
        full = zip(self.pooled, self.mean, strict=True)
        return self.places != tuple(range(0, size // window * window, window) for size, window in full)

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
        """Neither pooled nor cropped."""
        return self.windows == SINGLE and self.mean == (1, 1) and not self.cropped

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
    falls : channels in which the least is taken instead, bool [O]; None: in none.
    """

    terms: tuple[FloatConnection, ...]
    bias: np.ndarray
    shape: Shape
    where: str
    path: str
    kind: str
    largest: Windows = SINGLE
    falls: np.ndarray | None = None

    @property
    def image(self) -> Shape:
        """(C, H, W) behind the maximum."""
        return self.shape[0], *self.largest.outputs(*self.shape[1:])


Whole = Signal | Sum
Value = Whole | Mixture
