"""From raw captures back to integers by population and neuron; events that are no spikes of it are named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from spikeloom import Network, Population, Trace
from spikeloom.program.program import LayerPlan
from spikeloom.program.visits import Visit, sent_digits
from spikeloom.trace import FIELDS

from .capture import Capture, lanes_of
from .design import Core, Design, Stream

_Train = tuple[int, int, int, int]  # T, C, H, W


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

    `trace` of all populations behind the input; `potentials` int64 [N, O] of all readouts and their `classes` int64
    [N, readouts] at the ports; `faults` in order.
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
    parts: list[Trace] = []
    rank = 0
    for core in design.cores:
        place = partial(_Where, samples=samples, cut=cut, faults=faults)
        parts.append(_collect_core(design.network, core, rank, capture, place))
        rank += len(core.layers)
    ports = _Where([""], [rank], samples, cut, faults)
    potentials = _potentials(design, capture.beats["o"].words, ports)
    (classes,) = ports.exactly(capture.beats["o_class"].words, "class beats", [len(design.readouts)])
    trace = Trace(
        {name: train for part in parts for name, train in part.spikes.items()},
        {name: values for part in parts for name, values in part.accumulated.items()},
        {name: values for part in parts for name, values in part.remainder.items()},
    )
    return Observation(trace, potentials, classes.astype(np.int64), tuple(sorted(faults)))


def _collect_core(
    network: Network,
    core: Core,
    rank: int,
    capture: Capture,
    where_of: Callable[[list[str], list[int]], "_Where"],
) -> Trace:
    """What was seen of a core; `rank` is that of its first layer."""
    names = [layer.population for layer in core.layers]

    def turns(visits: Sequence[Visit]) -> _Where:
        return where_of([names[visit.layer] for visit in visits], [rank + visit.layer for visit in visits])

    found: dict[str, dict[str, list[np.ndarray]]] = {kind: {} for kind in FIELDS}
    banks = turns(core.visits).exactly(capture.swaps[core.name].words, "swaps", [1] * len(core.visits))
    if core.visited:
        _visited(core, capture.visits[core.name].words, turns(core.visits), found)
    for visit, bank in zip([] if core.visited else core.visits, banks, strict=not core.visited):
        layer, population = core.layers[visit.layer], network.source(names[visit.layer])
        assert isinstance(population, Population)  # a core holds no input
        potentials = neurons_of(layer, places_of(core, layer, bank[:, 0]), layer.neurons)
        found["accumulated"][layer.population] = [potentials + initial_of(network, population)]
    if core.spike is not None:
        _sent(network, core, capture, turns(core.sends), found)
    synchronous = network.schedule == "synchronous"
    return Trace(
        {name: np.concatenate(parts, 1) for name, parts in found["spikes"].items()},
        {name: np.stack(parts, 1) if synchronous else parts[0] for name, parts in found["accumulated"].items()},
        {name: parts[0] for name, parts in found["remainder"].items()},
    )


def _visited(core: Core, words: np.ndarray, where: "_Where", found: dict[str, dict[str, list[np.ndarray]]]) -> None:
    """Potentials of a core that integrates: in each visit what was there, and what is left of it."""
    scans = [core.layers[visit.layer].scan(core.slot) for visit in core.visits]
    parts = where.exactly(words, "visited words", [len(scan) for scan in scans])
    for visit, scan, part in zip(core.visits, scans, parts, strict=True):
        layer = core.layers[visit.layer]
        values = lanes_of(part, 2 * core.slot, core.bits)
        left, integrated = (neurons_of(layer, half, scan) for half in np.split(values, 2, axis=2))
        if visit.complete:
            found["accumulated"].setdefault(layer.population, []).append(integrated)
        if visit.action == "fire" and visit.final:
            found["remainder"][layer.population] = [left]


def _sent(
    network: Network, core: Core, capture: Capture, where: "_Where", found: dict[str, dict[str, list[np.ndarray]]]
) -> None:
    """Trains that left the generator, and what it left of the potentials that it divided."""
    assert core.spike is not None
    layers = [core.layers[visit.layer] for visit in core.sends]
    scans = [layer.scan(core.generate_width) for layer in layers]
    words = where.exactly(capture.retires[core.name].words, "words of remainders", [len(scan) for scan in scans])
    for visit, layer, scan, part in zip(core.sends, layers, scans, words, strict=True):
        if visit.action == "generate":
            values = lanes_of(part, core.generate_width, core.bits)
            found["remainder"][layer.population] = [neurons_of(layer, values, scan)]
    shapes = [(sent_digits(network, layer.population), *layer.shape) for layer in layers]
    trains = _spikes(core.spike, shapes, capture.beats[core.name].words, where)
    for layer, train in zip(layers, trains, strict=True):
        found["spikes"].setdefault(layer.population, []).append(train)


def places_of(core: Core, layer: LayerPlan, banks: np.ndarray) -> np.ndarray:
    """Potentials in the places of a layer, int64 [N, rows, gy, gx, width], of banks uint32 [N, memories, rows, pieces].

    A layer takes the lowest rows of every memory.
    """
    lanes = core.lanes // core.memories
    values = lanes_of(banks[:, :, : layer.rows], lanes, core.bits)
    return values.transpose(0, 2, 1, 3).reshape(len(banks), layer.rows, *core.grid, core.width)


def neurons_of(layer: LayerPlan, values: np.ndarray, address: np.ndarray) -> np.ndarray:
    """Neurons [N, C, H, W] of values [N, ...] that lie where `address` [...] says; -1: no neuron is there."""
    found = np.zeros((len(values), int(np.prod(layer.shape))), np.int64)
    real = address >= 0
    found[:, address[real]] = values[:, real]
    return found.reshape(len(values), *layer.shape)


def initial_of(network: Network, population: Population) -> np.ndarray:
    """What the potentials of a population begin with, int64 [C, 1, 1], or [C, H, W] where it has border classes."""
    initial = population.neuron.initial
    if len(initial) == 1:
        return initial[0].reshape(-1, 1, 1)
    rows, columns = network.border_classes(population.name)
    return initial[rows[:, None] * (columns.max() + 1) + columns].transpose(2, 0, 1)


class _Where:
    """The place that faults are reported from: some populations that take turns, sample by sample."""

    def __init__(
        self, names: Sequence[str], ranks: Sequence[int], samples: int, cut: bool, faults: list[Fault]
    ) -> None:
        self.names, self.ranks, self.samples, self.cut, self.faults = names, ranks, samples, cut, faults

    def fault(self, sample: int, turn: int, text: str) -> None:
        """Report a fault of the population whose turn it was."""
        who = f"population '{self.names[turn]}', " if self.names[turn] else ""
        self.faults.append(Fault(sample, self.ranks[turn], f"sample {sample}, {who}{text}"))

    def exactly(self, words: np.ndarray, what: str, each: Sequence[int]) -> list[np.ndarray]:
        """So many records of each population in every sample, [N, each, ...]; zeros stand for missing ones."""
        whole = sum(each)
        needed = self.samples * whole
        if len(words) < needed or (len(words) > needed and not self.cut):
            sample, place = divmod(min(len(words), needed), whole)
            turn = int(np.searchsorted(np.cumsum(each), place, side="right"))
            self.fault(sample, turn, f"{what}: expected {needed} in all samples, got {len(words)}")
        filled = np.zeros((needed, *words.shape[1:]), words.dtype)
        filled[: min(len(words), needed)] = words[:needed]
        return np.split(filled.reshape(self.samples, whole, *words.shape[1:]), np.cumsum(each)[:-1], axis=1)


def _spikes(stream: Stream, shapes: Sequence[_Train], words: np.ndarray, where: _Where) -> list[np.ndarray]:
    """Trains int8 [N, T, C, H, W] of the events of populations that take turns; their shapes are given."""
    if "none" in stream.fields:  # closes a word that has no event
        words = words[(stream.field(words, "none") == 0) | (stream.field(words, "end") != 0)]
    ends = stream.field(words, "end") != 0
    closed = np.cumsum(ends) - ends
    where.exactly(words[ends], "end marks", [1] * len(shapes))
    late = closed[~ends]
    late = late[late >= where.samples * len(shapes)]
    if len(late) and not where.cut:
        sample, turn = divmod(int(late[0]), len(shapes))
        where.fault(sample, turn, "spikes: an event after the last end mark")
    found = []
    for turn, shape in enumerate(shapes):
        mine = ~ends & (closed % len(shapes) == turn) & (closed < where.samples * len(shapes))
        found.append(_train(stream, shape, words[mine], closed[mine] // len(shapes), where, turn))
    return found


def _train(
    stream: Stream, shape: _Train, words: np.ndarray, sample: np.ndarray, where: _Where, turn: int
) -> np.ndarray:
    """The train of one population, of its events and the samples they belong to."""
    places = [stream.field(words, name) for name in ("step", "c", "y", "x")]
    inside = np.ones(len(words), bool)
    for values, extent in zip(places, shape, strict=True):
        inside &= values < extent
    for index in np.flatnonzero(~inside)[:1]:
        step, c, y, x = (int(values[index]) for values in places)
        where.fault(
            int(sample[index]),
            turn,
            f"spikes: an event of neuron (c={c}, y={y}, x={x}) at time step {step + 1}, but the shape is "
            f"{shape[1:]} and there are {shape[0]} time steps",
        )
    at = tuple(values[inside] for values in (sample, *places))
    count = np.zeros((where.samples, *shape), np.int16)
    np.add.at(count, at, 1)
    for n, step, c, y, x in np.argwhere(count > 1)[:1]:
        where.fault(
            int(n),
            turn,
            f"spikes: neuron (c={c}, y={y}, x={x}) at time step {step + 1} sent {int(count[n, step, c, y, x])} events, "
            "at most one may be",
        )
    train = np.zeros(count.shape, np.int8)
    train[at] = 1 - 2 * stream.field(words[inside], "negative") if "negative" in stream.fields else 1
    return train


def _potentials(design: Design, words: np.ndarray, where: _Where) -> np.ndarray:
    """Potentials int64 [N, O] at the readout port, in order of address."""
    ends, port = np.cumsum(list(design.readouts.values())) - 1, design.ports["o"]
    (beats,) = where.exactly(words, "potentials", [int(ends[-1]) + 1])
    last = port.field(beats, "last") != 0
    for n in np.flatnonzero((last != np.isin(np.arange(ends[-1] + 1), ends)).any(1))[:1]:
        where.fault(
            int(n),
            0,
            f"port 'o': 'last' must mark output {', '.join(map(str, ends))} alone, not outputs "
            f"{np.flatnonzero(last[n]).tolist()}",
        )
    bits = design.manifest["readout"]["potential_bits"]
    low = port.field(beats, "potential").astype(np.uint64)
    return (low << np.uint64(64 - bits)).view(np.int64) >> np.int64(64 - bits)
