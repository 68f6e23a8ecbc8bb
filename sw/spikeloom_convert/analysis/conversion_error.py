"""The expected conversion error of iLIF neurons, for any growth: where thresholds should lie, and why k is 2.

A generate phase in floats, as the paper has it: fire where V >= theta, subtract theta, multiply by k, T times. Spike t
stands for theta k^(1-t) of what was accumulated. Theta is the paper's V'_th / k, and its V_th / U_in,max is
theta / U_max here.

Ref: SpikeConverter, Eq. 10 to 13, Fig. 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from spikeloom.errors import InvalidData, shown

_COARSE, _FINE = 0.01, 0.0005  # steps of theta / U_max
_HIGHEST = 1.2  # theta / U_max beyond which nothing but silence is left


@dataclass(frozen=True)
class Optimum:
    """Least expected error, in parts of the largest U_in, and theta in parts of it, for T and growth."""

    timesteps: int
    growth: float
    ratio: float
    error: float


def uniform(count: int = 4000) -> np.ndarray:
    """U_in spread evenly over [0, 1], float64 [count]; the paper names no distribution, and this one gives its Fig. 5.

    Ref: SpikeConverter, Eq. 13.
    """
    return (np.arange(count) + 0.5) / count


def expected_errors(inputs: np.ndarray, ratios: np.ndarray, growth: float, timesteps: int) -> np.ndarray:
    """E|U_in - U_out|, float64 [R], in parts of the largest U_in.

    Parameters
    ----------
    inputs : U_in, float [M], not below 0: activations.
    ratios : theta in parts of the largest of them, [R].
    growth : k of the train, above 0; 1 to 2 keep potentials within 2 theta (Eq. 12).
    timesteps : T.

    Raises
    ------
    InvalidData
        No inputs, or inputs, ratios, growth or timesteps out of range.
    """
    inputs, ratios = np.asarray(inputs, np.float64).ravel(), np.asarray(ratios, np.float64)
    if not inputs.size or not np.isfinite(inputs).all() or inputs.min() < 0 or inputs.max() == 0:
        raise InvalidData("Conversion error: inputs must be finite, at least 0 and not all 0; give activations")
    if not (ratios > 0).all() or not 0 < growth < np.inf or timesteps < 1:
        raise InvalidData(
            f"Conversion error: thresholds and growth must be above 0 and timesteps at least 1, not "
            f"{shown(float(ratios.min()))}, {shown(growth)} and {shown(timesteps)}"
        )
    wanted = inputs / inputs.max()
    theta = ratios[:, None]
    potential = np.broadcast_to(wanted, (len(ratios), len(wanted)))
    left = potential.copy()
    for step in range(timesteps):
        fires = potential >= theta
        left -= fires * (theta * growth**-step)
        potential = (potential - fires * theta) * growth
    return np.abs(left).mean(1)


def best_threshold(inputs: np.ndarray, growth: float, timesteps: int) -> Optimum:
    """The theta of least expected error, to 0.0005 of the largest U_in; Ref: SpikeConverter, Eq. 13."""
    reach = sum(growth**-step for step in range(timesteps))
    ratios = np.arange(0.2 / reach, _HIGHEST, _COARSE)
    middle = ratios[expected_errors(inputs, ratios, growth, timesteps).argmin()]
    around = np.arange(round((middle - 1.5 * _COARSE) / _FINE), round((middle + 1.5 * _COARSE) / _FINE))
    ratios = around[around > 0] * _FINE
    errors = expected_errors(inputs, ratios, growth, timesteps)
    best = int(errors.argmin())
    return Optimum(timesteps, growth, float(ratios[best]), float(errors[best]))


def optima(inputs: np.ndarray, growths: Sequence[float], timesteps: Sequence[int]) -> list[Optimum]:
    """The best threshold of every T and growth; Ref: SpikeConverter, Fig. 5(a)."""
    return [best_threshold(inputs, growth, steps) for steps in timesteps for growth in growths]
