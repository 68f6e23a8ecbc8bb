"""Activation functions to train with, so that a spiking network loses little or nothing; `trace` knows them all.

Each is a module that stands where a ReLU would. In evaluation it is the function that its `response()` describes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature

import torch
from spikeloom.errors import InvalidNetwork, shown
from torch import nn

from .response import Leaky, Rectified, Response, Staircase, Stepped, Symmetric


class Trainable(nn.Module):
    """An activation function that conversion knows by its response."""

    def response(self) -> Response:
        """What it does in evaluation."""
        raise TypeError(f"{type(self).__name__} must be one of the activation functions derived from it")


class ThresholdReLU(Trainable):
    """min(max(x, 0), bound); a plain ReLU as long as `plain` is set, as in the first epochs of its paper.

    Ref: Deng & Gu, Eq. 2 and appendix A.1; tReLU of stReLU, Eq. 22.
    """

    plain: torch.Tensor

    def __init__(self, bound: float = 1.0) -> None:
        super().__init__()
        self.bound = _positive("ThresholdReLU", "bound", bound)
        self.register_buffer("plain", torch.tensor(False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x.clamp(min=0.0, max=None if self.plain else self.bound)

    def response(self) -> Response:
        """What it does in evaluation."""
        return Rectified(None if self.plain else self.bound)

    def extra_repr(self) -> str:
        """Its parameters, for people."""
        return f"bound={self.bound:g}"


class SymmetricThresholdReLU(Trainable):
    """min(max(x, -bound), bound), stReLU. Ref: stReLU, Eq. 7 and 9."""

    def __init__(self, bound: float = 1.0) -> None:
        super().__init__()
        self.bound = _positive("SymmetricThresholdReLU", "bound", bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return x.clamp(-self.bound, self.bound)

    def response(self) -> Response:
        """What it does in evaluation."""
        return Symmetric(self.bound)

    def extra_repr(self) -> str:
        """Its parameters, for people."""
        return f"bound={self.bound:g}"


class AsymmetricThresholdLeakyReLU(Trainable):
    """min(x, 1) above 0, max(alpha * x, -1/alpha) below, atLeakyReLU. Ref: stReLU, Eq. 21."""

    def __init__(self, alpha: float = 0.01) -> None:
        super().__init__()
        self.alpha = _positive("AsymmetricThresholdLeakyReLU", "alpha", alpha)
        if self.alpha > 1:
            raise ValueError(f"AsymmetricThresholdLeakyReLU: alpha must be at most 1, not {alpha!r}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return nn.functional.leaky_relu(x, self.alpha).clamp(-1.0 / self.alpha, 1.0)

    def response(self) -> Response:
        """What it does in evaluation."""
        return Leaky(self.alpha)

    def extra_repr(self) -> str:
        """Its parameters, for people."""
        return f"alpha={self.alpha:g}"


class StepReLU(Trainable):
    """x + gamma above 0, else 0; its gradient is that of ReLU. Ref: StepReLU, Eq. 4."""

    def __init__(self, gamma: float = 0.1) -> None:
        super().__init__()
        self.gamma = _positive("StepReLU", "gamma", gamma, zero=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return torch.where(x > 0, x + self.gamma, torch.zeros_like(x))

    def response(self) -> Response:
        """What it does in evaluation."""
        return Stepped(self.gamma)

    def extra_repr(self) -> str:
        """Its parameters, for people."""
        return f"gamma={self.gamma:g}"


class QCFS(Trainable):
    """Quantisation, clip, floor and shift to `levels` steps below a trained bound lambda; gradients pass the floor.

    Ref: residual error as noise, Eq. 6, after Bu et al.
    """

    def __init__(self, levels: int = 4, bound: float = 8.0) -> None:
        super().__init__()
        if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= 256:
            raise ValueError(f"{type(self).__name__}: levels must be an integer in 1..256, not {levels!r}")
        self.levels = levels
        self.bound = nn.Parameter(torch.tensor(_positive(type(self).__name__, "bound", bound)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        bound = self.bound.abs()
        steps = (x / bound).clamp(0.0, 1.0) * self.levels
        rounded = steps + ((steps + 0.5).floor() - steps).detach()
        return rounded / self.levels * bound

    def response(self) -> Response:
        """What it does in evaluation."""
        return Staircase(abs(self.bound.item()), self.levels)

    def extra_repr(self) -> str:
        """Its parameters, for people."""
        return f"levels={self.levels}, bound={self.bound.item():g}"


class NoisyQuantized(QCFS):
    """QCFS that adds Gaussian noise of deviation `delta` to what it gives while it trains, for the residual error.

    `delta` starts at 0; a training sets it anew for every layer after each epoch, see `train`.
    Ref: residual error as noise, Eq. 13 and section 5.2.
    """

    delta: torch.Tensor

    def __init__(self, levels: int = 4, bound: float = 8.0) -> None:
        super().__init__(levels, bound)
        self.register_buffer("delta", torch.tensor(0.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        result = super().forward(x)
        return result + self.delta * torch.randn_like(result) if self.training and self.delta > 0 else result


# by the name that `spikeloom train --activation` takes
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "trelu": ThresholdReLU,
    "strelu": SymmetricThresholdReLU,
    "atlrelu": AsymmetricThresholdLeakyReLU,
    "steprelu": StepReLU,
    "qcfs": QCFS,
    "noisy-quantized": NoisyQuantized,
}


def named(name: str, parameters: Mapping[str, float]) -> tuple[Callable[[], nn.Module], dict[str, float]]:
    """What makes an activation function of a name, and all its parameters, those not given at their defaults.

    Raises
    ------
    InvalidNetwork
        No such name, a parameter that it does not have, or a value out of its range.
    """
    if name not in ACTIVATIONS:
        raise InvalidNetwork(f"Activation {shown(name)}: must be one of {', '.join(ACTIVATIONS)}")
    kind = ACTIVATIONS[name]
    known = {item.name: item.default for item in signature(kind).parameters.values() if issubclass(kind, Trainable)}
    if other := [item for item in parameters if item not in known]:
        has = ", ".join(f"{item} ({default:g})" for item, default in known.items()) or "none"
        raise InvalidNetwork(f"Activation '{name}': must not be given {', '.join(other)}; its parameters are {has}")
    every = {**known, **parameters}
    try:
        kind(**every)
    except ValueError as error:
        raise InvalidNetwork(f"Activation '{name}': {str(error).partition(': ')[2]}") from None
    return partial(kind, **every), every


def _positive(who: str, name: str, value: float, *, zero: bool = False) -> float:
    if not isinstance(value, int | float) or not (value > 0 or (zero and value == 0)) or value == float("inf"):
        raise ValueError(f"{who}: {name} must be a number {'of at least' if zero else 'above'} 0, not {value!r}")
    return float(value)
