"""Thresholds of neurons that do not divide: growth k = 1 + 2^-s, whose code is found step by step.

Such a train is worth theta/k^(T-1) * sum_t Y[t] k^(T-t) units of potential (Ref: SpikeConverter, Eq. 7 and 10). A
neuron finds the digits greedily, none is taken back, so that codes overlap where k < 2.
"""

import torch

from .calibrate import Rule

_COARSE = torch.logspace(-1.3, 0.1, 29, dtype=torch.float64)
_COARSE_VALUES = 4096
_FINE = torch.linspace(0.95, 1.05, 11, dtype=torch.float64)
_FINE_VALUES = 16384


def largest_value(growth: float, timesteps: int) -> float:
    """Of a train, all spikes fired: sum over t of k^(T-t)."""
    return sum(growth**step for step in range(timesteps))


def growth_loss(growth: float, timesteps: int) -> float:
    """What the potential of a listener loses on average to its growing by whole units, half a unit a step."""
    return 0.5 * largest_value(growth, timesteps - 1)


def stepwise_codes(
    potential: torch.Tensor, theta: torch.Tensor, shift: int, timesteps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values sum_t Y[t] k^(T-t) of potentials, whole numbers, that start a generate phase, and spikes; float64 both.

    Parameters
    ----------
    potential : any shape that theta goes with, the rounding included.
    theta : whole numbers, at least 1.
    shift : s of k = 1 + 2^-s.
    timesteps : T.
    """
    growth = 1.0 + 2.0**-shift
    left = torch.minimum(potential.clamp(min=0.0), 2 * theta)
    value, spikes = torch.zeros_like(left), torch.zeros_like(left)
    for step in range(timesteps):
        if step:
            left = left + torch.floor(left * 2.0**-shift)
        fires = (left >= theta).to(left.dtype)
        left = left - fires * theta
        value, spikes = value * growth + fires, spikes + fires
    return value, spikes


def rounding(theta: torch.Tensor, growth: float, timesteps: int) -> torch.Tensor:
    """Half of what the last spike is worth, in whole units: what makes the nearest of two codes of their floor."""
    return (theta / (2 * growth ** (timesteps - 1))).floor()


def thresholds(
    potentials: torch.Tensor,
    activations: torch.Tensor,
    unit: torch.Tensor,
    shift: int,
    timesteps: int,
    rule: Rule,
    reach: torch.Tensor,
) -> torch.Tensor:
    """Theta of every channel, whole numbers [C], of the least expected conversion error (Ref: SpikeConverter, Eq. 13).

    Parameters
    ----------
    potentials : [C, M], without rounding.
    activations : [C, M], of the trained model.
    unit : [C], value of a unit of potential.
    shift, timesteps : s of k = 1 + 2^-s, T.
    rule : by channel or by layer, and the power of the error.
    reach : [C], largest activation.
    """
    growth = 1.0 + 2.0**-shift
    best, centre = torch.ones_like(unit), reach / unit
    for ratios, values in ((_COARSE, _COARSE_VALUES), (_FINE, _FINE_VALUES)):
        stride = max(1, potentials.shape[1] // values)
        seen, wanted = potentials[:, ::stride], activations[:, ::stride]
        middle, least = centre, torch.full_like(unit, torch.inf)
        for ratio in ratios.tolist():
            theta = (middle * ratio).round().clamp(min=1)
            added = rounding(theta, growth, timesteps)
            codes, _ = stepwise_codes(seen + added[:, None], theta[:, None], shift, timesteps)
            step = theta * unit / growth ** (timesteps - 1)
            error = (wanted - step[:, None] * codes).abs().pow(rule.power).mean(1)
            if not rule.per_channel:
                error = error.sum().expand(len(unit))
            better = error <= least
            best, least = torch.where(better, theta, best), torch.where(better, error, least)
            centre = torch.where(better, middle * ratio, centre)
    return best
