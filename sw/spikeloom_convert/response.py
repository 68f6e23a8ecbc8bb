"""Responses: what an activation function makes of a population's drive u, as conversion sees it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Rectified:
    """min(max(u, 0), clip): ReLU (clip None), ReLU6, threshold ReLU. Ref: Deng & Gu, Eq. 2; stReLU, Eq. 22."""

    clip: float | None = None

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation."""
        return u.clamp(min=0.0, max=self.clip)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return 0.0, float("inf") if self.clip is None else self.clip


@dataclass(frozen=True)
class Symmetric:
    """min(max(u, -bound), bound). Ref: stReLU, Eq. 7."""

    bound: float

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation."""
        return u.clamp(-self.bound, self.bound)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return -self.bound, self.bound


@dataclass(frozen=True)
class Leaky:
    """min(u, 1) above 0, max(alpha * u, -1/alpha) below. Ref: stReLU, Eq. 21."""

    alpha: float

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation."""
        return torch.where(u > 0, u, self.alpha * u).clamp(-1.0 / self.alpha, 1.0)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return -1.0 / self.alpha, 1.0


@dataclass(frozen=True)
class Stepped:
    """u + gamma above 0, else 0. Ref: StepReLU, Eq. 4."""

    gamma: float

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation."""
        return torch.where(u > 0, u + self.gamma, 0.0)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return 0.0, float("inf")


@dataclass(frozen=True)
class Staircase:
    """bound * clip(floor(u * levels / bound + 1/2) / levels, 0, 1). Ref: residual error as noise, Eq. 6 (QCFS)."""

    bound: float
    levels: int

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation."""
        return (u * (self.levels / self.bound) + 0.5).floor().clamp(0, self.levels) * (self.bound / self.levels)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return 0.0, self.bound


@dataclass(frozen=True)
class Heaviside:
    """1 where u reaches the threshold, else 0: the spike of a neuron's first time step.

    Of networks that spike before they are converted; `node` names the neuron.
    """

    node: str
    threshold: tuple[float, ...]

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation, of u [N, C, H, W]."""
        return (u >= torch.tensor(self.threshold, dtype=u.dtype).reshape(-1, 1, 1)).to(u.dtype)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return 0.0, 1.0


@dataclass(frozen=True)
class Remaining:
    """min(max(u, 0), clip) in every time step, and tau times what that leaves of u is added to the next one.

    Ref: Deng & Gu, appendix A.4.
    """

    clip: float | None
    tau: float

    def __call__(self, u: torch.Tensor, back: Callable[[torch.Tensor], torch.Tensor] | None = None) -> torch.Tensor:
        """The activations [N, T, C, H, W] of a sequence; `back`: what those of one step add to the next."""
        left = sent = torch.zeros_like(u[:, 0])
        steps = []
        for step in u.unbind(1):
            potential = step + self.tau * left
            if back is not None:
                potential = potential + back(sent)
            sent = potential.clamp(min=0.0, max=self.clip)
            left = potential - sent
            steps.append(sent)
        return torch.stack(steps, 1)

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return 0.0, float("inf") if self.clip is None else self.clip


@dataclass(frozen=True)
class Levels:
    """worths * clip(round(u / steps), 0, top), every channel with a step and a worth: what `fine_tune` leaves."""

    steps: tuple[float, ...]
    worths: tuple[float, ...]
    top: int

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """The activation, of u [N, C, H, W]."""
        step, worth = (torch.tensor(item, dtype=u.dtype).reshape(-1, 1, 1) for item in (self.steps, self.worths))
        return (u / step).round().clamp(0, self.top) * worth

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest activation."""
        return 0.0, self.top * max(self.worths)


Response = Rectified | Symmetric | Leaky | Stepped | Staircase | Heaviside | Levels | Remaining
RELU = Rectified()
