"""Stimulus: samples as beats of the input port, and the integers that must come of them."""

from dataclasses import dataclass

import numpy as np
from spikeloom import Trace, golden
from spikeloom.encoding import encode, spikes_of

from .design import Design


@dataclass(frozen=True, eq=False)
class Vectors:
    """Samples on their way into the input port.

    Members
    -------
    beats : uint64 [B], payload words, sample after sample; the last of each sample is its end mark, or that of its last
        time step where it is a sequence, each of which is closed by one.
    stops : int64 [N], index one past the end mark of each sample.
    """

    beats: np.ndarray
    stops: np.ndarray

    def __len__(self) -> int:
        return len(self.stops)

    def sample(self, first: int, stop: int | None = None) -> np.ndarray:
        """Beats of sample `first`, or of samples first..stop-1."""
        start = self.stops[first - 1] if first else 0
        return self.beats[start : self.stops[(first + 1 if stop is None else stop) - 1]]


def vectors(design: Design, x: np.ndarray, rng: np.random.Generator | None = None) -> Vectors:
    """Beats of samples: every spike of the input train once, then an end mark; of a sequence so in every time step.

    Parameters
    ----------
    design : Design
    x : samples [N, ...] as `spikeloom.encoding.encode` takes them.
    rng : order of the events up to an end mark, where the design leaves it free; None sends them by time step, then by
        address. Address and step of end marks mean nothing and are random too.
    """
    port = design.ports["i"]
    source, train = design.network.inputs[0], input_train(design, x)
    trains_a_sample = max(source.sequence, 1)
    train = train.reshape(-1, train.shape[1] // trains_a_sample, *train.shape[2:])
    trains = train.reshape(*train.shape[:2], -1)
    sample, step, address = np.nonzero(trains)
    negative = trains[sample, step, address] < 0
    if design.manifest["input"].get("ordered", False):
        channel, position = np.divmod(address, train.shape[3] * train.shape[4])
        order = np.lexsort((step, channel, position, sample))
    elif rng is not None:
        order = np.lexsort((rng.random(len(sample)), sample))
    else:
        order = np.arange(len(sample))
    fields = {"address": address[order], "step": step[order]}
    events = port.pack(fields | ({"negative": negative[order]} if "negative" in port.fields else {}))
    stops = np.cumsum(np.bincount(sample, minlength=len(train)) + 1)
    beats = np.zeros(int(stops[-1]) if len(x) else 0, np.uint64)
    ends = np.zeros(len(beats), bool)
    ends[stops - 1] = True
    beats[~ends] = events
    count = len(train)
    noise = np.zeros(count, np.int64) if rng is None else rng.integers(0, 1 << port.fields["end"][0], count)
    beats[ends] = noise.astype(np.uint64) | port.pack({"end": np.ones(1)})
    return Vectors(beats, stops[trains_a_sample - 1 :: trains_a_sample])


def input_train(design: Design, x: np.ndarray) -> np.ndarray:
    """The input's train of samples, int8 [N, T, C, H, W]; of a sequence those of all its time steps in a row."""
    source = design.network.inputs[0]
    if "negative" in design.ports["i"].fields or source.sequence:
        return golden.run_values(design.network, x).spikes[source.name]
    return spikes_of(encode(source, x), source.timesteps)


@dataclass(frozen=True, eq=False)
class Expected:
    """What the golden model says.

    `trace` of all populations; `potentials` int64 [N, O] of all readouts and their `classes` int64 [N, readouts] at the
    ports (lowest on ties).
    """

    trace: Trace
    potentials: np.ndarray
    classes: np.ndarray


def expected(design: Design, x: np.ndarray) -> Expected:
    """Run the golden model, value domain, on samples."""
    trace = golden.run_values(design.network, x)
    read = [trace.accumulated[name] for name in design.readouts]
    parts = [(part[:, -1] if part.ndim == 5 else part).reshape(len(x), -1) for part in read]
    return Expected(trace, np.concatenate(parts, 1), np.stack([part.argmax(1) for part in parts], 1))
