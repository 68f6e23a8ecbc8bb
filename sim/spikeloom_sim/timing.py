"""Cycles: latency, initiation interval, and how close the lanes come to what the events ask of them."""

from dataclasses import dataclass

import numpy as np
from spikeloom import Trace
from spikeloom.measure import sops

from .capture import Capture
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
    """

    latencies: np.ndarray
    intervals: np.ndarray
    bounds: np.ndarray

    def __add__(self, other: "Timing") -> "Timing":
        return Timing(
            np.concatenate([self.latencies, other.latencies]),
            np.concatenate([self.intervals, other.intervals]),
            np.concatenate([self.bounds, other.bounds]),
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
    latencies = capture.beats["o_class"].cycles[:alone] - taken[starts[:alone]]
    lead = _lead(design)
    intervals = np.diff(taken[stimulus.stops - 1][alone + lead - 1 :])
    work = sops(design.network, trace)
    bounds = np.stack([work[core.connection] / core.lanes for core in design.cores], 1)
    return Timing(latencies, intervals, bounds[alone:-lead])
