"""Thresholds of least expected conversion error, found on calibration activations.

A population's train carries a code y in 0..top; what it stands for is step * y. The best step of a channel is the one
whose expected error E|U_in - U_out| is least (Ref: SpikeConverter, Eq. 13), with U_in the activation of the trained
model and U_out = step * y, where y comes from the quantised network's own potential, rounding included.

Potentials are integers in units of `unit`. A step of an even number of units, step = 2 * half * unit, rounds exactly:
y = floor((V + half) / (2 * half)). So the search runs over the integers `half`.

The best threshold cuts off the largest activations, so that codes say less than they should on average, and less in
every layer. What a code is worth to the layers behind is therefore found once more, see `worth`: their weights absorb
it.
"""

from dataclasses import dataclass

import torch

MOST_GAIN = 2.0  # of what a step is worth, either way: a channel that is hardly ever active says little about it
_COARSE = torch.logspace(-1.3, 0.05, 36, dtype=torch.float64)
_COARSE_VALUES = 8192  # of a channel are enough to find where to search closely
_FINE = torch.logspace(-0.036, 0.036, 13, dtype=torch.float64)  # between the neighbours of the best coarse one


@dataclass(frozen=True)
class Rule:
    """How thresholds are chosen: one step a layer or one a channel, by the mean error to this power (1: Eq. 13)."""

    per_channel: bool
    power: int = 1

    def __str__(self) -> str:
        error = "expected conversion error" if self.power == 1 else "expected squared conversion error"
        return f"thresholds per {'channel' if self.per_channel else 'layer'} by the least {error}"


RULES = (Rule(True, 1), Rule(False, 1), Rule(True, 2), Rule(False, 2))


def codes(potentials: torch.Tensor, half: torch.Tensor, top: float) -> torch.Tensor:
    """Codes [C, M] of potentials [C, M] for steps of 2*half units, [C]: rounded, clipped to 0..top."""
    half = half[:, None]
    return ((potentials + half) / (2 * half)).floor().clamp(0, top)


def conversion_errors(
    potentials: torch.Tensor,
    activations: torch.Tensor,
    unit: torch.Tensor,
    half: torch.Tensor,
    top: float,
    power: int = 1,
) -> torch.Tensor:
    """E|U_in - U_out|^power of every channel, float64 [C].

    Parameters
    ----------
    potentials : [C, M], integers without the rounding offset.
    activations : [C, M], U_in: what the trained model has in their place, after its ReLU.
    unit : [C], value of one unit of potential.
    half : [C], integers; step = 2 * half * unit.
    top : largest code.
    """
    out = 2 * (half * unit)[:, None] * codes(potentials, half, top)
    return (activations - out).abs().pow(power).mean(1)


def half_steps(
    potentials: torch.Tensor,
    activations: torch.Tensor,
    unit: torch.Tensor,
    top: float,
    rule: Rule,
    most: torch.Tensor | None = None,
) -> torch.Tensor:
    """Half the step of every channel in units of potential, integers [C], at least 1 and at most `most` [C].

    Searched from a twentieth of what reaches the largest activation to a little beyond it, then closer around the best.
    A channel that was never active takes the layer's range.
    """
    reach = activations.amax(1)
    layer = reach.max()
    reach = torch.where(reach > 0, reach, layer) if rule.per_channel else layer.expand(len(unit))
    best = torch.ones_like(unit)
    centre = reach / (2 * top * unit)
    for ratios, step in ((_COARSE, max(1, potentials.shape[1] // _COARSE_VALUES)), (_FINE, 1)):
        middle, least = centre, torch.full_like(unit, torch.inf)
        seen, wanted = potentials[:, ::step], activations[:, ::step]
        for ratio in ratios.tolist():
            half = (middle * ratio).round().clamp(min=1)
            if most is not None:
                half = torch.minimum(half, most)
            error = conversion_errors(seen, wanted, unit, half, top, rule.power)
            if not rule.per_channel:
                error = error.sum().expand(len(unit))
            better = error <= least  # where nothing ever fires the widest range is the safest
            best, least = torch.where(better, half, best), torch.where(better, error, least)
            centre = torch.where(better, middle * ratio, centre)
    return best


def worth(
    potentials: torch.Tensor, activations: torch.Tensor, half: torch.Tensor, steps: torch.Tensor, top: float
) -> torch.Tensor:
    """What a step of each channel stands for, float64 [C]: the least squares of the activations over the codes.

    `steps`: what it is by the thresholds, [C], which is kept where a channel never fired; others as `half_steps`.
    """
    return least_squares(codes(potentials, half, top), activations, steps)


def least_squares(sent: torch.Tensor, activations: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """The factor of codes [C, M] that comes nearest to the activations [C, M], float64 [C], as `worth`."""
    power = sent.square().sum(1)
    best = (sent * activations).sum(1) / power.clamp(min=1.0)
    return torch.where(power > 0, torch.minimum(torch.maximum(best, steps / MOST_GAIN), steps * MOST_GAIN), steps)
