"""Placing: which cores run which layers on how many lanes, and whether they fit a board."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from .cores import best_core
from .cost import cycles, interval
from .errors import DoesNotFit, NotBuilt, listed
from .network import Network, Population
from .neuron import OPTIONAL_VECTORS, Neuron, Silent
from .program import CorePlan, Program, max_pooled
from .resources import Capacity, shortages

MAX_LANES = 128
MAX_ROWS = 2048  # deeper banks need several RAM blocks a bit, and their multiplexer costs clock: 73 instead of 87 MHz
SPARE = 0.5  # a core that is not the busiest may take this part of the busiest one's mean cycles: samples differ

Segment = tuple[int, int]  # first population, number of populations


def require_gates(network: Network) -> None:
    """Raise `NotBuilt` listing what this version's gates cannot do, although a network can say it."""
    found = [] if network.schedule == "two-phase" else [f"schedule '{network.schedule}'"]
    found += [f"input '{item.name}': signed" for item in network.inputs if item.signed]
    names = [network.inputs[0].name, *(item.name for item in network.populations)]
    for number, population in enumerate(network.populations):
        found += [f"population '{population.name}': {what}" for what in _unbuilt(population)]
        if not any(item.source == names[number] for item in network.connections):
            found.append(f"population '{names[number]}': nobody hears it")
    for connection in network.connections:
        if connection.source == names[0] and (connection.target != names[1] or len(network.incoming(names[1])) > 1):
            found.append(f"connection '{connection.name}': the train of the network's input cannot be kept")
        elif connection.source == names[0] and max_pooled(connection):
            found.append(f"connection '{connection.name}': max pooling of the network's input")
    for readout in network.readouts:
        if network.source(readout.population).shape[1:] != (1, 1):
            found.append(f"readout '{readout.population}': shape must be (O, 1, 1) in gates")
    silent = [item.name for item in network.populations if isinstance(item.neuron, Silent)]
    if silent != names[-1:]:
        found.append(f"population '{names[-1]}': the last one must be the readout, and the only one")
    if found:
        raise NotBuilt(f"Network '{network.name}': not built in gates yet: {listed(found)}")


def _unbuilt(population: Population) -> list[str]:
    neuron = population.neuron
    found = ["border classes"] if neuron.initial.shape[0] != 1 else []
    if isinstance(neuron, Neuron):
        found += [name for name in OPTIONAL_VECTORS if getattr(neuron, name) is not None]
        if neuron.signed:
            found.append("signed")
        if neuron.reset_kind != "soft":
            found.append(f"reset_kind '{neuron.reset_kind}'")
        if neuron.code != "plain":
            found.append(f"code '{neuron.code}'")
        if neuron.growth not in (1.0, 2.0):
            found.append(f"growth {neuron.growth} needs a sweep a time step")
    return found


def cuts(network: Network) -> list[int]:
    """Populations (counted from 0) before which a new core may begin: one train crosses, the one before it sends."""
    order = {item.name: number for number, item in enumerate(network.populations)}
    order[network.inputs[0].name] = -1
    return [
        number
        for number in range(1, len(network.populations))
        if all(order[item.source] >= number - 1 for item in network.connections if order[item.target] >= number)
    ]


def place(
    network: Network, *, lanes: int | None = None, cores: int | None = None, capacity: Capacity | None = None
) -> Program:
    """Cut the list of layers into cores, and choose their lanes, grids and spreads.

    With `cores` there are that many, otherwise one a layer, or fewer where trains that skip layers or the board ask for
    it. With `lanes` every core gets that many (no more than it can use). Otherwise the busiest core sets the pace
    with up to `MAX_LANES`, the others get as few as keep up with it, and all shrink together until they fit `capacity`.

    Raises
    ------
    NotBuilt
        The network needs something the gates do not do yet.
    DoesNotFit
        Listing every reason.
    """
    require_gates(network)
    starts = [0, *cuts(network)]
    if lanes is not None and lanes < 1:
        raise DoesNotFit(f"Lanes: must be at least 1, not {lanes}")
    if cores is not None and not 1 <= cores <= len(starts):
        raise DoesNotFit(f"Cores: must be between 1 and {len(starts)} for network '{network.name}', not {cores}")
    planner = _Planner(network, starts, banked=lanes is not None or cores is not None or _keeps(network))
    found: list[str] = []
    best: Program | None = None
    for count in range(len(starts), 0, -1) if cores is None else (cores,):
        for program in planner.programs(count, lanes):
            found = [] if capacity is None else shortages(program, capacity)
            if not found:
                break
        if found:
            continue
        if best is None or interval(network, program.cores) < interval(network, best.cores):
            best = program
        if capacity is None or lanes is not None or not _keeps(network):
            break
    if best is None:
        how = "even with one lane a core; choose a larger board, a smaller network or fewer weight bits"
        if lanes is not None:
            how = f"with {lanes} lanes a core; choose fewer lanes or a larger board"
        raise DoesNotFit(f"Network '{network.name}' on '{capacity.name}': {listed(found)}, {how}")  # type: ignore[union-attr]
    return best


def _keeps(network: Network) -> bool:
    """Whether trains skip layers, so that a core has to keep them."""
    return len(network.connections) > len(network.populations)


class _Planner:
    """Programs of a network for a number of cores, with what was found on the way.

    Parameters
    ----------
    network : Network
    starts : populations at which a core may begin.
    banked : cores may be grids of cells.
    """

    def __init__(self, network: Network, starts: list[int], *, banked: bool) -> None:
        self.network, self.starts, self.banked = network, starts, banked
        self._cores: dict[tuple[Segment, int], tuple[CorePlan, float]] = {}

    def core(self, segment: Segment, lanes: int) -> tuple[CorePlan, float]:
        """The best core for some layers with up to so many lanes, and its cycles."""
        if (segment, lanes) not in self._cores:
            plan = best_core(self.network, *segment, lanes, banked=self.banked)
            self._cores[segment, lanes] = plan, cycles(self.network, plan)
        return self._cores[segment, lanes]

    def programs(self, count: int, lanes: int | None) -> Iterator[Program]:
        """Programs of so many cores, each smaller than the one before; one if the lanes are fixed."""
        most = MAX_LANES if lanes is None else lanes
        segments = self.partition(count, most)
        if lanes is not None:
            yield Program(self.network, tuple(self.core(segment, lanes)[0] for segment in segments))
            return
        while True:
            yield Program(self.network, self.balanced(segments, most))
            if most == 1:
                return
            most = max(1, most * 3 // 4)

    def partition(self, count: int, lanes: int) -> list[Segment]:
        """The layers cut into so many segments, the busiest one having as few cycles as can be."""
        ends = [*self.starts, len(self.network.populations)]
        if count == len(self.starts):
            return [(first, last - first) for first, last in pairwise(ends)]

        @cache
        def cheapest(first: int, left: int) -> tuple[float, tuple[int, ...]]:
            """Cycles of the busiest of `left` segments from the `first`-th start on, and where they begin."""
            if left == 1:
                return self.core((ends[first], ends[-1] - ends[first]), lanes)[1], (first,)
            options = []
            for then in range(first + 1, len(ends) - left + 1):
                head = self.core((ends[first], ends[then] - ends[first]), lanes)[1]
                tail, begins = cheapest(then, left - 1)
                options.append((max(head, tail), (first, *begins)))
            return min(options)

        begins = [ends[index] for index in cheapest(0, count)[1]]
        return [(first, last - first) for first, last in pairwise([*begins, ends[-1]])]

    def balanced(self, segments: list[Segment], most: int) -> tuple[CorePlan, ...]:
        """The busiest core gets up to `most` lanes, every other as few as keep up with it."""
        widest = [self.core(segment, most) for segment in segments]
        pace = max(busy for _, busy in widest)
        found = []
        for segment, (plan, busy) in zip(segments, widest, strict=True):
            if busy < pace:
                options = (self.core(segment, lanes) for lanes in range(1, plan.lanes))
                enough = (one for one, used in options if one.rows <= MAX_ROWS and used <= SPARE * pace)
                plan = next(enough, plan)
            found.append(plan)
        return tuple(found)
