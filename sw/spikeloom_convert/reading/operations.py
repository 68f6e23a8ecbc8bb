"""The words of a traced model: the few operations a supported network is made of, in the order they run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from spikeloom.geometry import Shape
from spikeloom.windows import Windows

from ..response import Remaining, Response

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Operation:
    """One step of the model's forward pass.

    Parameters
    ----------
    where : who it is in an error: `Layer 'features.3' (AvgPool2d)`.
    path : dotted path of the module, names its population.
    before, after : shapes of a sample on both sides, without N: (C, H, W), (C, L) or (F,).
    inputs : numbers of the operations whose results it takes, -1 for the samples; None: of the one before it.
    """

    where: str
    path: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    inputs: tuple[int, ...] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Linear(Operation):
    """y = W x + b; `weights` float64 [O, F], `bias` float64 [O]."""

    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Zero-padded convolution, kh 1 for sequences; `weights` float64 [O, C/groups, kh, kw], `bias` float64 [O]."""

    weights: np.ndarray
    bias: np.ndarray
    stride: Pair
    padding: Pair
    groups: int

    @property
    def pointwise(self) -> bool:
        """Whether it takes every place by itself, with all its channels."""
        return self.weights.shape[2:] == (1, 1) and self.padding == (0, 0) and self.groups == 1


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """y = scale * x + shift, float64 [C] or [F] each: batch norm in evaluation, normalisation by constants."""

    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, eq=False)
class Rectify(Operation):
    """An activation function: ReLU, ReLU6, Hardtanh(0, a), or one of `activations`."""

    response: Response


@dataclass(frozen=True, eq=False)
class Leak(Operation):
    """A leaky ReLU: x above 0, factor * x below, float64 [C] or [F]."""

    factors: np.ndarray


@dataclass(frozen=True, eq=False)
class AveragePool(Operation):
    """Mean over windows with stride equal to the window, rests dropped, times `factor` (1 but for divisor_override)."""

    window: Pair
    factor: float


@dataclass(frozen=True, eq=False)
class MaxPool(Operation):
    """Largest value of windows, which may overlap and reach beyond the border."""

    windows: Windows


@dataclass(frozen=True, eq=False)
class Crop(Operation):
    """Rows and columns by number: x[:, :, a:b:s, c:d:t]; `rows` (0,) for sequences."""

    rows: range
    columns: range


@dataclass(frozen=True, eq=False)
class Select(Operation):
    """Channels `first` to `stop` - 1: x[:, first:stop]."""

    first: int
    stop: int


@dataclass(frozen=True, eq=False)
class Gather(Operation):
    """Channels by number, in that order and as often as named: x[:, [2, 1, 0]], x.repeat(1, 3, 1, 1)."""

    channels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PadChannels(Operation):
    """So many channels of zeros ahead of the first and behind the last."""

    ahead: int
    behind: int


@dataclass(frozen=True, eq=False)
class PadSides(Operation):
    """So many rows and columns of zeros above, below, on the left and on the right."""

    above: int
    below: int
    left: int
    right: int


@dataclass(frozen=True, eq=False)
class Add(Operation):
    """The sum of all inputs, of one or more; x + factor * y of two."""

    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Larger(Operation):
    """The larger one of two inputs at every place; `smaller`: the smaller one."""

    smaller: bool = False


@dataclass(frozen=True, eq=False)
class Concatenate(Operation):
    """The channels of all inputs, one after the other."""


@dataclass(frozen=True, eq=False)
class Flatten(Operation):
    """(C, H, W) to (C*H*W,), in address order; or in another, `order` int64 [C*H*W] the address of each feature."""

    order: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Ending(Operation):
    """A function of the outputs that keeps their order, so it may only end a network; `function` of (N, F) gives it.

    `joint`: it takes all outputs of a sample together.
    """

    function: Callable[[torch.Tensor], torch.Tensor]
    joint: bool = False


@dataclass(frozen=True, eq=False)
class Recur(Operation):
    """A recurrent layer over (T, F): u = W x + b + R y of the step before, whose `response` carries on what it leaves.

    `weights` float64 [O, F], `bias` float64 [O], `lateral` R, float64 [O, O], or None.
    """

    weights: np.ndarray
    bias: np.ndarray
    lateral: np.ndarray | None
    response: Remaining


@dataclass(frozen=True, eq=False)
class AverageSteps(Operation):
    """(T, F) to the mean over the time steps, (F,)."""


@dataclass(frozen=True, eq=False)
class Unknown(Operation):
    """Something that is not supported, where a model is inspected to the end: it gives any values."""


def linked(operations: Sequence[Operation]) -> list[Operation]:
    """The operations with the inputs of each spelled out."""
    return [
        item if item.inputs is not None else replace(item, inputs=(number - 1,))
        for number, item in enumerate(operations)
    ]


def preceded(operations: Sequence[Operation], first: Sequence[Operation]) -> list[Operation]:
    """The operations behind some more, which come first and in a chain."""
    moved = [
        item if item.inputs is None else replace(item, inputs=tuple(number + len(first) for number in item.inputs))
        for item in operations
    ]
    return [*first, *moved]


def dilated(weights: np.ndarray, dilation: Pair) -> np.ndarray:
    """Kernels [O, C, kh, kw] with zeros between their places, [O, C, (kh - 1)dy + 1, (kw - 1)dx + 1]."""
    kernel = [(size - 1) * step + 1 for size, step in zip(weights.shape[2:], dilation, strict=True)]
    spread = np.zeros((*weights.shape[:2], *kernel))
    spread[:, :, :: dilation[0], :: dilation[1]] = weights
    return spread


def image(shape: Sequence[int]) -> Shape:
    """Shape of a sample as (C, H, W)."""
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


# of a sum they give the sum of what they give of its parts
LINEAR = Linear | Convolution | Affine | AveragePool | Crop | Select | Gather | PadSides | PadChannels | Flatten


def keeps_maxima(operation: Operation) -> bool:
    """Whether it gives a maximum of a weighted sum of one."""
    if isinstance(operation, Leak):
        return not (operation.factors < 0).any()  # else the largest value is not that of the largest sum
    return isinstance(operation, Affine | Rectify | MaxPool | Select | Gather | Flatten | Ending)
