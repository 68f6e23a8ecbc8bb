"""Placing: which cores run which layers on how many lanes, and whether they fit a board."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..errors import DoesNotFit, listed
from ..network import Network
from ..program.gates import require_gates
from ..program.program import CorePlan, Program, fires, store_plan
from .cores import best_core
from .cost import cycles, phases
from .least import least, share
from .pace import inbox_for, sending
from .partition import Chain, Choice, Segment, chains, segments_of
from .resources import Capacity, core_blocks, core_luts, shortages

MAX_LANES = 128
OWN_MULTIPLIERS = 2  # of a core with a store, to find the place of a position
MAX_BANKED_LANES = 144  # nine cells of sixteen lanes
LADDER = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 27, 32, 36, 48, 54, 64, 72, 96, 108, 128, 144)
MAX_ROWS = 1024  # two banks a memory: from 2048 words on RAM blocks are stacked, and choosing one costs clock
SPARE = 0.5  # a core that is not the busiest may take this part of the busiest one's mean cycles: samples differ
NEAR, SHALLOW = 2.0, 8  # times a device, populations: where it is worth while to search for what is smaller still
STEPS = 12  # of the search for the pace
SLACK = 6  # steps of the ladder beyond the fewest lanes: a quick first phase spares the core before a wait


def cuts(network: Network) -> list[int]:
    """Populations (counted from 0) before which a new core may begin: one train crosses, the one before it sends, and
    all readouts are behind it. A recurrent connection stays in its core, with the layer behind its source, while which
    its codes are kept.
    """
    order = {item.name: number for number, item in enumerate(network.populations)}
    order[network.inputs[0].name] = -1
    back = [item for item in network.connections if network.recurrent(item)]
    return [
        number
        for number in range(1, len(network.populations))
        if all(order[item.source] >= number - 1 for item in network.connections if order[item.target] >= number)
        and not any(order[item.target] < number <= order[item.source] + 1 for item in back)
        and all(fires(network, item.name) for item in network.populations[:number])
    ]


def place(
    network: Network,
    *,
    lanes: int | None = None,
    cores: int | None = None,
    capacity: Capacity | None = None,
    contents: str = "fixed",
) -> Program:
    """As `placed`, with cores that understand each other; those with a store use multipliers if the device has enough.

    A multiplier takes longer than a shifter, which matters where the potentials are registers; where they are memories
    and whole codes are added it saves most of the lane's logic.
    """
    program = placed(network, lanes=lanes, cores=cores, capacity=capacity, contents=contents)
    program = Program(network, agreed(network, program.cores))
    wanted = sum(core.lanes + OWN_MULTIPLIERS for core in program.cores if core.stored)
    if any(network.sender(item.source).signed for core in program.cores for item in core.stored):
        return program  # codes are multiplied without a sign
    if capacity is None or not 0 < wanted <= capacity.multipliers:
        return program
    other = replace(program, cores=tuple(replace(core, multiply=bool(core.stored)) for core in program.cores))
    return program if shortages(other, capacity) else other  # wide weights may take more rows than with shifters


def agreed(network: Network, cores: Sequence[CorePlan]) -> tuple[CorePlan, ...]:
    """Cores whose stores get their words whole: a word lies in one row of the sender, a slot of it in one word."""
    found: list[CorePlan] = []
    for core in cores:
        if any(item.source == core.source for item in core.stored) and found:
            width = math.gcd(core.store_width, found[-1].width)
            names = tuple(layer.population for layer in core.layers)
            core = replace(core, store_width=width, stored=store_plan(network, core.source, names, width))
            if width % max(found[-1].generate_width, 1):
                found[-1] = replace(found[-1], generate_width=1)
        if core.stored and core.store_width % max(core.generate_width, 1):
            core = replace(core, generate_width=1)
        found.append(core)
    return tuple(found)


def placed(
    network: Network,
    *,
    lanes: int | None = None,
    cores: int | None = None,
    capacity: Capacity | None = None,
    contents: str = "fixed",
) -> Program:
    """Cut the list of layers into cores, and choose their lanes, grids and spreads.

    With `cores` there are that many; otherwise one a layer, or fewer where trains skip layers or the board is small.
    With `lanes` every core gets that many (no more than it can use). Otherwise the busiest core sets the pace with up
    to `MAX_LANES`, and the others get as few as keep up with it; what does not fit `capacity` runs at a slower pace.
    `contents` is that of all cores, see `CorePlan`.

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
        fix = "a core begins where a single train crosses"
        raise DoesNotFit(f"Cores: must be 1 to {len(starts)} for network '{network.name}', not {cores}; {fix}")
    skips = len(network.connections) > len(network.populations)
    banked = lanes is not None or cores is not None or skips
    planner = _Planner(network, starts, capacity, banked=banked, contents=contents)
    if lanes is not None:
        return planner.with_lanes(lanes, cores)
    if capacity is None:
        return planner.balanced(planner.widest(cores), planner.most)
    if not skips and cores is None:
        for program in planner.shrinking():
            if not shortages(program, capacity):
                return program
    return planner.fastest(cores)


def smallest(network: Network, capacity: Capacity, *, cores: int | None = None) -> tuple[Chain, list[str]]:
    """The smallest chain of cores for a board, and what it lacks there as sentences; within a second for most networks.

    Raises
    ------
    NotBuilt
        The network needs something the gates do not do yet.
    """
    require_gates(network)
    chain, fits = least(network, [0, *cuts(network), len(network.populations)], capacity, cores)
    if not fits and share(chain, capacity) <= NEAR and len(network.populations) <= SHALLOW:
        try:
            plans = placed(network, cores=cores, capacity=capacity).cores
        except DoesNotFit:
            pass  # as was said
        else:
            blocks, luts = (sum(f(network, plan, capacity.family) for plan in plans) for f in (core_blocks, core_luts))
            return Chain(blocks=blocks, luts=luts, plans=plans), []
    return chain, [] if fits else shortages(Program(network, chain.plans), capacity)


class _Planner:
    """Programs of a network, with the cores that were found on the way.

    Parameters
    ----------
    network : Network
    starts : populations at which a core may begin.
    capacity : what they have to fit, or None.
    banked : cores may be grids of cells.
    contents : of all cores.
    """

    def __init__(
        self, network: Network, starts: list[int], capacity: Capacity | None, *, banked: bool, contents: str
    ) -> None:
        self.network, self.capacity, self.banked, self.contents = network, capacity, banked, contents
        self.ends = [*starts, len(network.populations)]
        self.most = MAX_BANKED_LANES if banked else MAX_LANES
        self._cores: dict[tuple[Segment, int], tuple[CorePlan, float]] = {}
        self._choices: dict[tuple[Segment, int], tuple[Choice, ...]] = {}

    @property
    def _room(self) -> Capacity:
        assert self.capacity is not None
        return self.capacity

    def core(self, segment: Segment, lanes: int) -> tuple[CorePlan, float]:
        """The best core for some layers with up to so many lanes, and its cycles a sample."""
        key = segment, lanes
        if key not in self._cores:
            plan = best_core(self.network, *segment, lanes, banked=self.banked)
            plan = replace(plan, contents=self.contents)
            self._cores[key] = plan, cycles(self.network, plan)
        return self._cores[key]

    def choices(self, segment: Segment, lanes: int) -> tuple[Choice, ...]:
        """The same with what it takes of the device; and with an inbox, where that spares the core before a wait."""
        key = segment, lanes
        if key not in self._choices:
            plan, busy = self.core(segment, lanes)
            first = phases(self.network, plan)[0]
            plans = [plan]
            if segment[0] and (events := inbox_for(first)):
                plans.append(replace(plan, inbox=events))
            self._choices[key] = tuple(
                Choice(
                    one,
                    busy,
                    first.cycles,
                    sending(first, one.inbox),
                    *self._taken(one),
                )
                for one in plans
            )
        return self._choices[key]

    def _taken(self, core: CorePlan) -> tuple[int, int]:
        """Block RAMs and LUTs; (0, LUTs of an ECP5) without a board, where they only rank the cores."""
        if self.capacity is None:
            return 0, core_luts(self.network, core, "ecp5")
        family = self.capacity.family
        return core_blocks(self.network, core, family), core_luts(self.network, core, family)

    def with_lanes(self, lanes: int, cores: int | None) -> Program:
        """As fast as may be with so many lanes a core."""

        def choose(segment: Segment) -> tuple[Choice, ...]:
            return self.choices(segment, lanes)

        if cores is None:
            finest = self.program(choose(segment)[0].plan for segment in segments_of(self.ends))
            if self.capacity is None or not shortages(finest, self.capacity):
                return finest
        found = chains(self.ends, choose, cores, self.capacity)
        if not found:
            self.refuse(
                chains(self.ends, choose, cores, None),
                f"with {lanes} lanes a core; choose fewer lanes or a larger board",
            )
        return self.program(found[0].plans)

    def widest(self, cores: int | None) -> list[Segment]:
        """Layers of the cores when all of them are as wide as may be."""
        if cores in (None, len(self.ends) - 1):
            return segments_of(self.ends)
        return list(chains(self.ends, lambda segment: self.choices(segment, self.most), cores, None)[0].segments)

    def balanced(self, segments: list[Segment], most: int) -> Program:
        """The busiest core gets up to `most` lanes, every other as few as keep up with it."""
        widest = [self.core(segment, most) for segment in segments]
        pace = max(busy for _, busy in widest)
        plans = []
        for segment, (plan, busy) in zip(segments, widest, strict=True):
            if busy < pace:
                counts = [count for count in LADDER if count < most] if self.banked else range(1, plan.lanes)
                fewer = (self.core(segment, count) for count in counts)
                plan = next((one for one, used in fewer if one.rows <= MAX_ROWS and used <= SPARE * pace), plan)
            plans.append(plan)
        return self.program(plans)

    def shrinking(self) -> Iterator[Program]:
        """Balanced programs of one core a layer, each smaller than the one before."""
        most = self.most
        while True:
            yield self.balanced(segments_of(self.ends), most)
            if most == 1:
                return
            most = max(1, most * 3 // 4)

    def fastest(self, cores: int | None) -> Program:
        """The program with the shortest interval between samples that fits."""
        self.banked = True
        self._cores.clear()
        self._choices.clear()
        slowest = self.at_pace(math.inf, cores, self.capacity)
        if not slowest:
            small, fits = least(self.network, self.ends, self._room, cores)
            if fits:
                return self.program(small.plans)
            how = "even with one lane a core; choose a larger board, a smaller network or fewer weight bits"
            self.refuse([small], how)
        best = slowest[0]
        low, high = 1.0, best.cycles
        for _ in range(STEPS):
            pace = math.sqrt(low * high)
            found = self.at_pace(pace, cores, self.capacity)
            if found:
                best, high = found[0], found[0].cycles
            else:
                low = pace
        return self.program(best.plans)

    def at_pace(self, pace: float, cores: int | None, room: Capacity | None) -> list[Chain]:
        """Chains that take no more than `pace` cycles a sample, of cores with few more lanes than that asks for."""

        def choose(segment: Segment) -> list[Choice]:
            enough = bisect_left(LADDER, True, key=lambda lanes: self.core(segment, lanes)[1] <= pace)
            counts = LADDER[enough : enough + SLACK : 2]
            return [choice for lanes in counts for choice in self.choices(segment, lanes)]

        return chains(self.ends, choose, cores, room, pace)

    def program(self, plans: Iterable[CorePlan]) -> Program:
        """The program with these cores."""
        return Program(self.network, tuple(plans))

    def refuse(self, found: list[Chain], how: str) -> None:
        """Say what is missing for the chain that comes closest."""
        room = self._room
        closest = min(found, key=lambda chain: share(chain, room))
        missing = listed(shortages(self.program(closest.plans), room))
        raise DoesNotFit(f"Network '{self.network.name}' on '{room.name}': {missing}, {how}")
