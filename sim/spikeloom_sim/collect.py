"""From raw captures back to integers by population and neuron; events that are no spikes of it are named."""

from dataclasses import dataclass

import numpy as np
from spikeloom import Neuron, Population, Trace

from .capture import Capture, lanes_of
from .design import Core, Design, Stream


@dataclass(frozen=True, order=True)
class Fault:
    """A divergence that no trace can hold: an event twice or out of range, a missing end mark, a hang.

    `rank` is the position of the population in the chain; faults sort by sample, then by it.
    """

    sample: int
    rank: int
    text: str


@dataclass(frozen=True, eq=False)
class Observation:
    """What the gates said, in the golden model's words.

    `trace` of all populations behind the input; `potentials` int64 [N, O] and `classes` int64 [N] at the ports;
    `faults` in order.
    """

    trace: Trace
    potentials: np.ndarray
    classes: np.ndarray
    faults: tuple[Fault, ...]


def collect(design: Design, capture: Capture, samples: int, *, cut: bool = False) -> Observation:
    """Sort a capture into integers of `samples` samples.

    Parameters
    ----------
    design, capture : what ran and what was seen of it.
    samples : samples that must have come out.
    cut : the run was cut off: more than `samples` may have been seen of the first cores.
    """
    faults: list[Fault] = []
    spikes, accumulated, remainder = {}, {}, {}
    for rank, core in enumerate(design.cores):
        population = design.network.source(core.population)
        assert isinstance(population, Population)
        where = _Where(core.population, rank, samples, cut, faults)
        banks = where.exactly(capture.swaps[core.name].words, "swaps")
        accumulated[core.population] = neurons_of(core, population, lanes_of(banks, core.lanes, core.bits))
        if core.spike is None:
            continue
        retires = where.exactly(
            capture.retires[core.name].words, "words of remainders", core.rows * core.lanes // core.generate_width
        )
        remainder[core.population] = neurons_of(core, population, lanes_of(retires, core.generate_width, core.bits))
        spikes[core.population] = _spikes(core.spike, population, capture.beats[core.name].words, where)
    ports = _Where("", len(design.cores), samples, cut, faults)
    potentials = _potentials(design, capture.beats["o"].words, ports)
    classes = ports.exactly(capture.beats["o_class"].words, "class beats").astype(np.int64)
    return Observation(Trace(spikes, accumulated, remainder), potentials, classes, tuple(sorted(faults)))


def neurons_of(core: Core, population: Population, scanned: np.ndarray) -> np.ndarray:
    """Neurons [N, C, H, W] of values in scan order (rows ascending, then lanes), any shape [N, ...]."""
    channels, height, width = population.shape
    placed = scanned.reshape(len(scanned), height, width, core.groups * core.lanes)
    return np.ascontiguousarray(placed[..., :channels].transpose(0, 3, 1, 2))


@dataclass(frozen=True, eq=False)
class _Where:
    """The place that faults are reported from."""

    population: str
    rank: int
    samples: int
    cut: bool
    faults: list[Fault]

    def fault(self, sample: int, text: str) -> None:
        where = f"population '{self.population}', " if self.population else ""
        self.faults.append(Fault(sample, self.rank, f"sample {sample}, {where}{text}"))

    def exactly(self, words: np.ndarray, what: str, each: int = 1) -> np.ndarray:
        """`each` records a sample, [N, each, ...] (or [N, ...] where each is 1); zeros stand for missing ones."""
        needed = self.samples * each
        if len(words) < needed or (len(words) > needed and not self.cut):
            self.fault(
                min(len(words) // each, self.samples), f"{what}: expected {needed} in all samples, got {len(words)}"
            )
        whole = np.zeros((needed, *words.shape[1:]), words.dtype)
        whole[: min(len(words), needed)] = words[:needed]
        return whole if each == 1 else whole.reshape(self.samples, each, *words.shape[1:])


def _spikes(stream: Stream, population: Population, words: np.ndarray, where: _Where) -> np.ndarray:
    """Trains int8 [N, T, C, H, W] of a core's events."""
    assert isinstance(population.neuron, Neuron)
    shape = (population.neuron.timesteps, *population.shape)
    ends = stream.field(words, "end") != 0
    sample = np.cumsum(ends) - ends
    where.exactly(words[ends], "end marks")
    places = [stream.field(words, name)[~ends] for name in ("step", "c", "y", "x")]
    sample = sample[~ends]
    if not where.cut:
        for late in np.unique(sample[sample >= where.samples])[:1]:
            where.fault(int(late), "spikes: an event after the last end mark")
    inside = sample < where.samples
    for values, extent in zip(places, shape, strict=True):
        inside &= values < extent
    for index in np.flatnonzero(~inside & (sample < where.samples))[:1]:
        step, c, y, x = (int(values[index]) for values in places)
        where.fault(
            int(sample[index]),
            f"spikes: an event of neuron (c={c}, y={y}, x={x}) at time step {step + 1}, but the shape is "
            f"{population.shape} and there are {shape[0]} time steps",
        )
    train = np.zeros((where.samples, *shape), np.int8)
    at = tuple(values[inside] for values in (sample, *places))
    np.add.at(train, at, 1)
    for n, step, c, y, x in np.argwhere(train > 1)[:1]:
        count = int(train[n, step, c, y, x])
        where.fault(
            int(n),
            f"spikes: neuron (c={c}, y={y}, x={x}) at time step {step + 1} sent {count} events, at most one may be",
        )
    return np.minimum(train, 1)


def _potentials(design: Design, words: np.ndarray, where: _Where) -> np.ndarray:
    """Potentials int64 [N, O] at the readout port, in order of address."""
    outputs, port = design.manifest["readout"]["outputs"], design.ports["o"]
    beats = where.exactly(words, "potentials", outputs).reshape(where.samples, outputs)
    last = port.field(beats, "last") != 0
    for n in np.flatnonzero((last != (np.arange(outputs) == outputs - 1)).any(1))[:1]:
        where.fault(
            int(n),
            f"port 'o': 'last' must mark output {outputs - 1} alone, not outputs {np.flatnonzero(last[n]).tolist()}",
        )
    bits = design.manifest["readout"]["potential_bits"]
    low = port.field(beats, "potential").astype(np.uint64)
    return (low << np.uint64(64 - bits)).view(np.int64) >> np.int64(64 - bits)
