"""Neurons: the integer parameters and the growth of integrate-and-fire, iLIF and silent populations."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Vector = np.ndarray
Potentials = TypeVar("Potentials", np.ndarray, "torch.Tensor")
OPTIONAL_VECTORS = ("fire_pos", "fire_neg", "reset", "reset_neg", "drive", "step_gamma")


def frozen(value: Vector) -> Vector:
    """A copy of an array that nobody can write to, rows first; what is no array comes back as it is."""
    if not isinstance(value, np.ndarray):
        return value
    copy = np.array(value, order="C")
    copy.setflags(write=False)
    return copy.view()  # a view of what is not writable cannot be made writable again


def nearest_growth(growth: float) -> float:
    """The growth that is nearest, of those above 1 that integers can take, 1 + 2^-s, and of 1."""
    return min((1.0, *(1.0 + 2.0**-shift for shift in range(16))), key=lambda item: abs(item - growth))


def growth_shift(growth: float) -> int | None:
    """Shift s of a growth 1 + 2^-s or 1 - 2^-s (so 2 and 0 are s=0), None for growth 1; ValueError for anything else.

    In gates a potential grows by V + (V >> s), or leaks by V - (V >> s), with an arithmetic shift.
    """
    if growth == 1.0:
        return None
    for shift in range(0, 16):
        if growth in (1.0 + 2.0**-shift, 1.0 - 2.0**-shift):
            return shift
    raise ValueError(f"growth must be 1, 2, 1 + 2^-s or 1 - 2^-s with s in 1..15, not {growth!r}")


@dataclass(frozen=True, eq=False)
class Neuron:
    """A population's firing neurons.

    Two-phase schedule: V is clamped to [0, ceiling*theta], then for T steps fire if V >= fire_pos, subtract the reset
    amount, multiply by growth. Signed ones are clamped to [-ceiling*theta, ceiling*theta], send -1 where V <= fire_neg,
    and add the amount then. Synchronous schedule: for T steps multiply by growth, add drive and inputs, fire and reset
    in the same way; there is no clamp.

    Graded spikes (synchronous only): where V > fire_pos, V - fire_pos + step_gamma is sent, in units of
    theta / 2^(step_bits-1) and as a train of `step_bits` bits (so exactly, where theta is 2^(step_bits-1)); 0 is left.
    Ref: StepReLU, Eq. 3 and 6.

    Vectors are int64 of shape [B, C]: border class (B is 1 today) by channel.

    Parameters
    ----------
    timesteps : T, length of the output train, 1..16; synchronous: of the whole sample, 1..256, the same for all.
    growth : k of the output train: 1 (IF), 2 (iLIF), 1 + 2^-s, or 1 - 2^-s (LIF); synchronous also 0: what is left is
        forgotten.
    theta : threshold, at least 1.
    initial : potential a sample starts with (bias and rounding), added once and never multiplied.
    fire_pos, fire_neg : firing thresholds where they are not theta and -theta: above and below 0, the latter only of
        signed neurons.
    reset : amount subtracted at a spike where it is not theta, at least 1; only soft resets have one.
    reset_neg : amount added at a negative spike where it is not that of a positive one, at least 1; synchronous only.
        Ref: stReLU, Eq. 21 (atLeakyReLU).
    reset_kind : "soft", or "hard": a spike leaves 0.
    drive : added every time step of a synchronous network.
    signed : spikes are -1, 0, +1.
    step_gamma : what a graded spike has on top, at least 0; fire_pos may be any integer then, and the reset is hard.
    step_bits : bits of a graded spike, 1..16; 0 of all others.
    code : "plain" train, or "naf", the minimal-weight code of a growth-2 train: see `spikeloom.encoding.spikes_of`.
    """

    timesteps: int
    growth: float
    theta: Vector
    initial: Vector
    fire_pos: Vector | None = None
    fire_neg: Vector | None = None
    reset: Vector | None = None
    reset_neg: Vector | None = None
    reset_kind: str = "soft"
    drive: Vector | None = None
    signed: bool = False
    step_gamma: Vector | None = None
    code: str = "plain"
    step_bits: int = 0

    def __post_init__(self) -> None:
        for name in ("theta", "initial", *OPTIONAL_VECTORS):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @property
    def steps(self) -> int:
        """Length of the train that is sent: T, one more in minimal-weight code, T * step_bits of graded spikes."""
        return sent_steps(self.timesteps, self.code) * max(self.step_bits, 1)

    @property
    def thresholds(self) -> tuple[Vector, Vector | None, Vector]:
        """Where the neuron fires +1 (V at least), where -1 (V at most; None: never), and the amount of a soft reset."""
        positive = self.theta if self.fire_pos is None else self.fire_pos
        negative = -self.theta if self.fire_neg is None else self.fire_neg
        return positive, negative if self.signed else None, self.theta if self.reset is None else self.reset

    @property
    def negative_amount(self) -> Vector:
        """What a soft reset adds at a negative spike."""
        return self.thresholds[2] if self.reset_neg is None else self.reset_neg

    @cached_property
    def divides(self) -> bool:
        """Whether the code is a quotient: sign(V) * min(floor(|V| * 2^(T-1) / theta), 2^T-1), or without 2^.. and T.

        So it is for growth 1 and 2 with a soft reset where the neuron fires at theta and resets by theta.
        """
        positive, negative, amount = self.thresholds
        at_theta = np.array_equal(positive, self.theta) and np.array_equal(amount, self.theta)
        symmetric = negative is None or np.array_equal(negative, -self.theta)
        return self.growth in (1.0, 2.0) and self.reset_kind == "soft" and at_theta and symmetric

    @property
    def ceiling(self) -> int:
        """Factor on theta that the potential is clamped to at the phase boundary.

        2 for a growing train, whose potential then never exceeds 2*theta; for growth 1 a train of T spikes carries
        up to T*theta, so the ceiling lies there, and for a leaky train too.
        """
        return 2 if self.growth > 1 else max(2, self.timesteps)


@dataclass(frozen=True, eq=False)
class Silent:
    """A readout's neurons: they integrate for the whole sample and never fire.

    `initial` and `drive` int64 [B, C] and `growth` as in `Neuron`, the last two of a synchronous network only: growth
    1 - 2^-s is StepReLU's leaky readout. Ref: StepReLU, Eq. 14.
    """

    initial: Vector
    drive: Vector | None = None
    growth: float = 1.0

    def __post_init__(self) -> None:
        for name in ("initial", "drive"):
            object.__setattr__(self, name, frozen(getattr(self, name)))


def grow(potential: Potentials, growth: float) -> Potentials:
    """One time step of growth, int64: V + (V >> s) or V - (V >> s), arithmetic shift; growth 1 leaves V as it is."""
    shift = growth_shift(growth)
    if shift is None:
        return potential
    return potential + (potential >> shift) if growth > 1 else potential - (potential >> shift)


def sent_steps(timesteps: int, code: str) -> int:
    """Digits that a train of `timesteps` bits takes in a code, "plain" or "naf"."""
    return timesteps + 1 if code == "naf" else timesteps


def partial_sums(timesteps: int) -> tuple[int, int]:
    """Least and largest sum that any events of a train of T bits in minimal-weight code have, in whatever order.

    Its digits are one place apart at least and the first of them is positive, which leaves -(2^(T-2) + 2^(T-4) + ...)
    for the negative ones alone. The positive ones alone are most where the first is 2^T: as the code is below that, the
    next is negative, costs least as 2^(T-2), and 2^(T-4) + ... may follow.
    """
    return -((1 << timesteps) // 3), (1 << timesteps) + (1 << timesteps) // 12 if timesteps > 1 else 1


def train_weights(growth: float, timesteps: int) -> np.ndarray:
    """Integer weight of a spike at each time step, int64 [T]: k^(T-t) for k in {1, 2}, 1 for any other growth."""
    if growth == 2.0:
        return 1 << np.arange(timesteps - 1, -1, -1, dtype=np.int64)
    return np.ones(timesteps, dtype=np.int64)


def largest_code(growth: float, timesteps: int) -> int:
    """Largest value a train can carry at the integer line: 2^T - 1 for growth 2, else the spike count T."""
    return int(train_weights(growth, timesteps).sum())
