"""Tells a run layer by layer: what was captured of it, with its cycles, compared with the golden model on the way."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from spikeloom import Network, Trace
from spikeloom.program.program import LayerPlan
from spikeloom.program.visits import sent_digits
from spikeloom.trace import Place

from ..capture import Capture, Words, lanes_of
from ..collect import initial_of, neurons_of, places_of
from ..design import Core, Design, Stream
from ..vectors import Expected
from .layers import IDLE, Changes, Layer, Story, Train


def tell(
    design: Design,
    capture: Capture,
    want: Expected,
    neurons: int,
    numbers: Sequence[int],
    place: Place | None = None,
) -> Story:
    """Sort what a run captured into the lines of its layers.

    Parameters
    ----------
    design, capture : what ran, and what was seen of it.
    want : what the golden model says of its samples.
    neurons : how many of each layer to follow, by address; that of `place` too.
    numbers : of the samples, in the order in which they were sent.
    """
    network, story = design.network, Story()
    source = network.inputs[0]
    layer = Layer(source.name, source.shape, _chosen(source.name, source.shape, neurons, place), tuple(numbers))
    story.layers.append(layer)
    _Teller(network, want.trace, story, [layer]).input(design.ports["i"], capture.beats["i"])
    for core in design.cores:
        layers = [
            Layer(
                item.population,
                item.shape,
                _chosen(item.population, item.shape, neurons, place),
                tuple(numbers),
                core.bits,
            )
            for item in core.layers
        ]
        for item in layers:
            item.stages |= {name: [] for name in ("mismatches", "accumulates", "generates")}
            item.stages |= {"class": []} if item.name in design.readouts else {}
        story.layers += layers
        _Teller(network, want.trace, story, layers).core(design, core, capture)
    return story


def _chosen(name: str, shape: tuple[int, int, int], neurons: int, place: Place | None) -> tuple[int, ...]:
    first = set(range(min(neurons, int(np.prod(shape)))))
    if place is not None and place.population == name:
        first.add(int(np.ravel_multi_index(place.neuron, shape)))
    return tuple(sorted(first))


@dataclass(eq=False)
class _Teller:
    """Tells what one core, or the input, did; `layers` in its order."""

    network: Network
    want: Trace
    story: Story
    layers: list[Layer]
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def samples(self) -> int:
        return len(next(iter(self.want.spikes.values())))

    def input(self, port: Stream, beats: Words) -> None:
        """Events as the port takes them: neurons by address, a train for each time step of a sequence."""
        source = self.network.inputs[0]
        trains = max(source.sequence, 1)
        self.trains(port, beats, [0] * trains, [self.want.spikes[source.name].shape[1] // trains] * trains)

    def core(self, design: Design, core: Core, capture: Capture) -> None:
        """Stages from its swaps, potentials from its banks and what the generator leaves, spikes from its queue."""
        swaps, count = capture.swaps[core.name], len(core.visits)
        ends = self.ends(design, core, capture)
        before = 0
        for turn, cycle in enumerate(swaps.cycles.tolist()):
            sample, position = divmod(turn, count)
            layer = self.layers[core.visits[position].layer]
            layer.at("accumulates", before, sample)
            layer.stage("accumulates", cycle + 1, IDLE)
            layer.at("generates", cycle + 1, sample)
            if turn in ends:
                layer.stage("generates", ends[turn] + 1, IDLE)
            before = cycle + 1
            if not core.visited:
                self.bank(core, turn, swaps.words[turn], cycle + 1)
        if core.visited:
            self.visited(core, capture.visits[core.name])
        if core.spike is not None:
            self.divided(core, capture.retires[core.name])
            digits = [sent_digits(self.network, self.layers[visit.layer].name) for visit in core.sends]
            self.trains(core.spike, capture.beats[core.name], [visit.layer for visit in core.sends], digits)
        if core is design.cores[-1]:
            classes = capture.beats["o_class"]
            for turn, (word, cycle) in enumerate(zip(classes.words.tolist(), classes.cycles.tolist(), strict=True)):
                name = list(design.readouts)[turn % len(design.readouts)]
                next(item for item in self.layers if item.name == name).stage("class", cycle, word)

    def ends(self, design: Design, core: Core, capture: Capture) -> dict[int, int]:
        """Cycle of the last that the generator did in each turn, as far as the run came."""
        found: dict[int, int] = {}
        if core.visited:
            self._ends(found, range(len(core.visits)), self.scans(core, core.slot), capture.visits[core.name], core)
            return found
        sends = [n for n, visit in enumerate(core.visits) if visit.sends]
        if sends:
            scans = [self.scan(core, n, core.generate_width) for n in sends]
            self._ends(found, sends, scans, capture.retires[core.name], core)
        reads = [n for n, visit in enumerate(core.visits) if visit.action == "read"]
        if reads:
            outputs = [np.zeros(design.readouts[self.layers[core.visits[n].layer].name]) for n in reads]
            self._ends(found, reads, outputs, capture.beats["o"], core)
        return found

    def _ends(
        self, found: dict[int, int], turns: Sequence[int], words: Sequence[np.ndarray], seen: Words, core: Core
    ) -> None:
        """The same for the turns of a sample of which so many words are seen."""
        place, sample = 0, 0
        while True:
            for turn, part in zip(turns, words, strict=True):
                place += len(part)
                if place > len(seen.cycles):
                    return
                found[sample * len(core.visits) + turn] = int(seen.cycles[place - 1])
            sample += 1

    def scan(self, core: Core, visit: int, slot: int) -> np.ndarray:
        """Addresses [words, slot] that the generator passes in a visit."""
        return core.layers[core.visits[visit].layer].scan(slot)

    def scans(self, core: Core, slot: int) -> list[np.ndarray]:
        """Those of all visits."""
        return [self.scan(core, visit, slot) for visit in range(len(core.visits))]

    def bank(self, core: Core, turn: int, bank: np.ndarray, cycle: int) -> None:
        """Potentials that are complete when banks swap."""
        sample, position = divmod(turn, len(core.visits))
        number = core.visits[position].layer
        plan, layer = core.layers[number], self.layers[number]
        values = neurons_of(plan, places_of(core, plan, bank[None]), plan.neurons)
        population = next(item for item in self.network.populations if item.name == layer.name)
        potentials = (values + initial_of(self.network, population))[0]
        everywhere = np.ones(layer.shape, bool)
        layer.potential(cycle, potentials, everywhere)
        self.compare(layer, "accumulated", sample, None, potentials, everywhere, cycle)

    def visited(self, core: Core, seen: Words) -> None:
        """Potentials that the generator finds, slot by slot, and what it leaves of them unless it divides."""
        values = lanes_of(seen.words, 2 * core.slot, core.bits)
        words = [(visit, row) for visit in core.visits for row in core.layers[visit.layer].scan(core.slot)]
        for number, cycle in enumerate(seen.cycles.tolist()):
            sample, at = divmod(number, len(words))
            visit, addresses = words[at]
            layer, plan = self.layers[visit.layer], core.layers[visit.layer]
            mask = _mask(layer, addresses)
            found = _at(plan, values[number, core.slot :], addresses)
            layer.potential(cycle, found, mask)
            if visit.complete:
                step = visit.time if self.want.accumulated[layer.name].ndim == 5 else None
                self.compare(layer, "accumulated", sample, step, found, mask, cycle)
            if visit.action != "generate":
                rest = _at(plan, values[number, : core.slot], addresses)
                layer.potential(cycle + 1, rest, mask)
                if visit.action == "fire" and visit.final:
                    self.compare(layer, "remainder", sample, None, rest, mask, cycle + 1)

    def divided(self, core: Core, seen: Words) -> None:
        """What divisions leave of potentials, slot by slot."""
        values = lanes_of(seen.words, core.generate_width, core.bits)
        words = [(visit, row) for visit in core.sends for row in core.layers[visit.layer].scan(core.generate_width)]
        for number, cycle in enumerate(seen.cycles.tolist()):
            sample, at = divmod(number, len(words))
            visit, addresses = words[at]
            if visit.action == "generate":
                layer = self.layers[visit.layer]
                rest, mask = _at(core.layers[visit.layer], values[number], addresses), _mask(layer, addresses)
                layer.potential(cycle + 1, rest, mask)
                self.compare(layer, "remainder", sample, None, rest, mask, cycle + 1)

    def compare(
        self, layer: Layer, what: str, sample: int, step: int | None, got: np.ndarray, mask: np.ndarray, cycle: int
    ) -> None:
        """Count the potentials that are not golden's."""
        wanted = getattr(self.want, what).get(layer.name)
        if wanted is None or sample >= self.samples:
            return
        want = wanted[sample] if step is None else wanted[sample, step]
        self.count(layer, what, sample, step, mask & (want != got), cycle)

    def count(self, layer: Layer, what: str, sample: int, step: int | None, wrong: np.ndarray, cycle: int) -> None:
        """Count integers that differ."""
        addresses = np.flatnonzero(wrong).tolist()
        if addresses:
            self.wrong[layer.name] += len(addresses)
            layer.stage("mismatches", cycle, self.wrong[layer.name])
        for address in addresses:
            self.story.differs.setdefault((layer.name, what, sample, step, address), cycle)

    def trains(self, stream: Stream, beats: Words, turns: Sequence[int], digits: Sequence[int]) -> None:
        """Events of trains that take turns: `turns` are positions of layers, `digits` the time steps of each."""
        words, cycles = beats.words, beats.cycles
        if "none" in stream.fields:  # closes a word that has no event
            real = (stream.field(words, "none") == 0) | (stream.field(words, "end") != 0)
            words, cycles = words[real], cycles[real]
        ends = stream.field(words, "end") != 0
        closed = np.cumsum(ends) - ends
        before = [
            sum(d for t, d in zip(turns[:n], digits[:n], strict=True) if t == turns[n]) for n in range(len(turns))
        ]
        step, negative = stream.field(words, "step"), np.zeros(len(words), np.int64)
        if "negative" in stream.fields:
            negative = stream.field(words, "negative")
        addresses = {}
        for number in dict.fromkeys(turns):
            layer = self.layers[number]
            layer.spike_bits = 2 if "negative" in stream.fields else 1
            layer.stages |= {name: [] for name in ("sends", "step", "spikes")}
            addresses[number] = _addresses(stream, words, layer.shape)
        for place in np.unique(closed).tolist():  # in the order in which they came
            sample, turn = divmod(place, len(turns))
            mine = np.flatnonzero(closed == place)
            complete = bool(ends[mine[-1]])
            last = complete and turns[turn] not in turns[turn + 1 :]
            train = Train(self.layers[turns[turn]], sample, before[turn], digits[turn], last)
            where = addresses[turns[turn]][mine]
            got = train.tell(cycles[mine], ends[mine], step[mine], 1 - 2 * negative[mine], where)
            self.judge(train, got, int(cycles[mine[-1]]), complete)

    def judge(self, train: "Train", got: dict[tuple[int, int], tuple[int, int]], cycle: int, closed: bool) -> None:
        """Compare a train with golden's: what is wrong shows when it comes, what is missing at the end mark."""
        layer = train.layer
        if train.sample >= self.samples:
            return
        steps = slice(train.before, train.before + train.digits)
        want = self.want.spikes[layer.name][train.sample, steps].reshape(train.digits, -1)
        late: Changes = []
        for (step, address), (value, when) in got.items():
            if step < train.digits and 0 <= address < want.shape[1] and want[step, address] != value:
                late.append((when, step * want.shape[1] + address))
        if closed:
            missing = ((step, address) for step, address in np.argwhere(want) if (step, address) not in got)
            late += [(cycle, int(step * want.shape[1] + address)) for step, address in missing]
        for when, place in sorted(late):
            step, address = divmod(place, want.shape[1])
            wrong = np.arange(want.shape[1]) == address
            self.count(layer, "spikes", train.sample, train.before + step, wrong, when)


def _addresses(stream: Stream, words: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Address of the neuron that each event names; -1: there is none."""
    if "address" in stream.fields:
        return stream.field(words, "address")
    channel, y, x = (stream.field(words, name) for name in ("c", "y", "x"))
    inside = (channel < shape[0]) & (y < shape[1]) & (x < shape[2])
    return np.where(inside, (channel * shape[1] + y) * shape[2] + x, -1)


def _at(plan: LayerPlan, values: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Potentials [C, H, W] of a slot that holds these neurons; zero elsewhere."""
    return neurons_of(plan, values[None], addresses)[0]


def _mask(layer: Layer, addresses: np.ndarray) -> np.ndarray:
    """Which neurons [C, H, W] a slot holds."""
    mask = np.zeros(layer.shape, bool)
    mask.reshape(-1)[addresses[addresses >= 0]] = True
    return mask
