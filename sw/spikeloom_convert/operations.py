"""The words of a traced model: the few operations a supported network is made of, in the order they run."""

from dataclasses import dataclass

import numpy as np

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Operation:
    """One step of the model's forward pass.

    Parameters
    ----------
    where : who it is in an error: `Layer 'features.3' (AvgPool2d)`.
    path : dotted path of the module, names its population.
    before, after : shapes of a sample on both sides, without N: (C, H, W) or (F,).
    """

    where: str
    path: str
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Linear(Operation):
    """y = W x + b; `weights` float64 [O, F], `bias` float64 [O]."""

    weights: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Zero-padded two-dimensional convolution; `weights` float64 [O, C/groups, kh, kw], `bias` float64 [O]."""

    weights: np.ndarray
    bias: np.ndarray
    stride: Pair
    padding: Pair
    groups: int


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """y = scale * x + shift, float64 [C] or [F] each: batch norm in evaluation, normalisation by constants."""

    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, eq=False)
class Rectify(Operation):
    """y = min(max(x, 0), clip): ReLU (clip None), ReLU6, Hardtanh(0, a)."""

    clip: float | None


@dataclass(frozen=True, eq=False)
class AveragePool(Operation):
    """Mean over windows with stride equal to the window, rests dropped, times `factor` (1 but for divisor_override)."""

    window: Pair
    factor: float


@dataclass(frozen=True, eq=False)
class Flatten(Operation):
    """(C, H, W) to (C*H*W,), in address order."""


@dataclass(frozen=True, eq=False)
class Softmax(Operation):
    """Softmax, or its logarithm if `log`, over the outputs: keeps their order, so it may only end a network."""

    log: bool
