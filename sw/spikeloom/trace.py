"""A trace is every integer a network produces for some samples; two traces are compared exactly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .errors import Divergence

FIELDS = ("spikes", "accumulated", "remainder")


@dataclass(frozen=True, eq=False)
class Trace:
    """Spikes and potentials by population name, never by core or bank; N samples.

    Members
    -------
    spikes : int8 [N, T, C, H, W], inputs and firing populations.
    accumulated : int64 [N, C, H, W], V with offset at the phase boundary before the clamp; readouts too. Of synchronous
        networks [N, T, C, H, W], V after integration and before firing in every time step.
    remainder : int64 [N, C, H, W], V after the last reset (for growth 2: 2^(T-1)*V_clamped - y*theta).
    """

    spikes: Mapping[str, np.ndarray] = field(default_factory=dict)
    accumulated: Mapping[str, np.ndarray] = field(default_factory=dict)
    remainder: Mapping[str, np.ndarray] = field(default_factory=dict)


def mismatches(expected: Trace, got: Trace) -> int:
    """Number of integers that differ, over the fields and populations in `got`.

    Raises
    ------
    Divergence
        Shapes differ, or `got` holds nothing at all.
    """
    return sum(int(np.count_nonzero(want != have)) for _, _, want, have in _pairs(expected, got))


@dataclass(frozen=True)
class Place:
    """Where two traces differ: `field` of a neuron (c, y, x) of a population in a sample.

    `step` counts time steps from 0; None: the field has one value a sample.
    """

    sample: int
    step: int | None
    population: str
    neuron: tuple[int, int, int]
    field: str
    expected: int
    got: int

    def __str__(self) -> str:
        when = "" if self.step is None else f"time step {self.step + 1}, "
        channel, y, x = self.neuron
        return (
            f"sample {self.sample}, {when}population '{self.population}', neuron (c={channel}, y={y}, x={x}), "
            f"{self.field}: expected {self.expected}, got {self.got}"
        )


def first_place(expected: Trace, got: Trace) -> Place | None:
    """Where two traces differ first, or None.

    Order: earliest sample first, then the populations in the order of `expected` (topological), then potentials
    before the spikes they lead to (of synchronous networks time step by time step), so that the name is that of the
    cause rather than of what came of it downstream.
    """
    # spikes name the input and all that fires, in order; nothing hears the readouts, which only accumulate
    order = {name: rank for rank, name in enumerate(dict.fromkeys((*expected.spikes, *expected.accumulated)))}
    found: list[tuple[tuple[int, int, int, int], Place]] = []
    for field_name, name, want, have in _pairs(expected, got):
        different = want != have
        if different.any():
            at = tuple(int(i) for i in np.unravel_index(different.argmax(), different.shape))
            sample, *step, channel, y, x = at
            potentials = expected.accumulated.get(name, np.zeros((0, 0, 0, 0)))
            steps = potentials.shape[1] if potentials.ndim == 5 else 0  # T, where potentials are those of every step
            digits = want.shape[1] // steps if steps and step else 1
            rank = (
                sample,
                order.get(name, 0),
                (step[0] // digits if step else steps) if steps else 0,
                ("accumulated", "spikes", "remainder").index(field_name),
            )
            place = Place(
                sample, step[0] if step else None, name, (channel, y, x), field_name, int(want[at]), int(have[at])
            )
            found.append((rank, place))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def first_divergence(expected: Trace, got: Trace) -> str | None:
    """Sentence naming the first difference (sample, time step, population, neuron, field, expected, got) or None; see
    `first_place`.
    """
    place = first_place(expected, got)
    return None if place is None else str(place)


def require_equal(expected: Trace, got: Trace) -> None:
    """Raise `Divergence` naming the first difference and the count; nothing where all integers are equal."""
    count = mismatches(expected, got)
    if count:
        raise Divergence(f"Trace: {count} integers differ; first: {first_divergence(expected, got)}")


def _pairs(expected: Trace, got: Trace) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    if not any(getattr(got, field_name) for field_name in FIELDS):
        raise Divergence("Trace: must hold a population to compare, not nothing")
    for field_name in FIELDS:
        for name, have in getattr(got, field_name).items():
            want = getattr(expected, field_name).get(name)
            if want is None or want.shape != have.shape:
                shape = "nothing" if want is None else f"shape {want.shape}"
                raise Divergence(f"Trace: {field_name} of '{name}': expected {shape}, got shape {have.shape}")
            yield field_name, name, want, have
