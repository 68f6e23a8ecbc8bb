"""Cycles: latency, initiation interval, where they go, and how close the lanes come to what the events ask of them."""

from dataclasses import dataclass

import numpy as np
from spikeloom import Trace
from spikeloom.measure import sops

from .capture import STATES, Capture
from .design import Design
from .vectors import Vectors


@dataclass(frozen=True, eq=False)
class Timing:
    """What runs without stalls say of the pace of a design; add two to join them.

    Members
    -------
    latencies : int64 [A], cycles of samples that met an idle design, first event in to class out.
    intervals : int64 [I], cycles between the end marks of neighbouring samples at the full input port, once round.
    bounds : float64 [I, cores], cycles each of these samples needs where every lane adds a weight every cycle.
    phases : int64 [I, layers], cycles from swap to swap for each layer of all cores.
    states : int64 [I, cores, states], cycles of each core in each of `capture.STATES`; -1 where it does not show them.
    """

    latencies: np.ndarray
    intervals: np.ndarray
    bounds: np.ndarray
    phases: np.ndarray
    states: np.ndarray

    def __add__(self, other: "Timing") -> "Timing":
        return Timing(
            np.concatenate([self.latencies, other.latencies]),
            np.concatenate([self.intervals, other.intervals]),
            np.concatenate([self.bounds, other.bounds]),
            np.concatenate([self.phases, other.phases]),
            np.concatenate([self.states, other.states]),
        )

    @property
    def latency_cycles(self) -> float | None:
        """Mean latency."""
        return float(self.latencies.mean()) if len(self.latencies) else None

    @property
    def initiation_interval_cycles(self) -> float | None:
        """Mean interval; None where too few samples followed one another."""
        return float(self.intervals.mean()) if len(self.intervals) else None

    @property
    def lower_bound_cycles(self) -> np.ndarray | None:
        """Mean bound of each core, float64 [cores]."""
        return self.bounds.mean(0) if len(self.bounds) else None

    def cycles_by_layer(self, design: Design) -> dict[str, float] | None:
        """Mean cycles from swap to swap of each layer, by population."""
        if not len(self.phases):
            return None
        means = self.phases.mean(0)
        return {layer.population: float(mean) for layer, mean in zip(design.layers, means, strict=True)}

    def breakdown(self, design: Design) -> dict[str, dict[str, float]] | None:
        """Mean cycles a sample of each core that shows what it is at, by core and state."""
        found = {}
        for core, cycles in zip(design.cores, np.swapaxes(self.states, 0, 1), strict=True):
            if core.states and len(cycles):
                found[core.name] = {state: float(mean) for state, mean in zip(STATES, cycles.mean(0), strict=True)}
        return found or None


def round_trip(design: Design, samples: int, alone: int) -> np.ndarray:
    """Which of `samples` samples to send for `timing`: the first `alone`, then all, then the first ones once more.

    The input port runs ahead of the busiest core by as many samples as the chain holds. Measured over a stream that
    goes round, from the sample that fills the chain to the same one again, the intervals are those of every sample
    exactly once, whatever the lead.
    """
    return np.concatenate([np.arange(alone), np.arange(samples), np.arange(_lead(design)) % samples])


def _lead(design: Design) -> int:
    return len(design.cores) + 1


def timing(design: Design, stimulus: Vectors, capture: Capture, trace: Trace, alone: int) -> Timing:
    """Timing of a complete run of a `round_trip` without stalls whose first `alone` samples were sent one by one."""
    starts = np.concatenate([[0], stimulus.stops[:-1]])
    taken = capture.beats["i"].cycles
    answered = capture.beats["o_class"].cycles[len(design.readouts) - 1 :: len(design.readouts)]
    latencies = answered[:alone] - taken[starts[:alone]]
    lead = _lead(design)
    intervals = np.diff(taken[stimulus.stops - 1][alone + lead - 1 :])
    work = sops(design.network, trace)
    phases, bounds, states = [], [], []
    for core in design.cores:
        names = {layer.population for layer in core.layers}
        incoming = (work[item.name] for item in design.network.connections if item.target in names)
        bounds.append(sum(incoming) / core.lanes)
        swaps, layers = capture.swaps[core.name].cycles, len(core.visits)
        each = np.diff(swaps, prepend=0).reshape(-1, layers)[alone + lead :]
        mine = np.equal.outer([visit.layer for visit in core.visits], np.arange(len(core.layers)))
        phases.append(each @ mine.astype(np.int64))
        counts = capture.states.get(core.name, np.zeros((len(swaps), len(STATES)), np.int64))
        spent = np.diff(counts[layers - 1 :: layers], axis=0)[alone + lead - 1 :]  # a sample ends at its last layer
        states.append(spent if core.states else np.full_like(spent, -1))
    return Timing(
        latencies, intervals, np.stack(bounds, 1)[alone:-lead], np.concatenate(phases, 1), np.stack(states, 1)
    )
