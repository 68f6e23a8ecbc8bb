"""The pace of a chain: cycles between samples, where neighbouring cores wait for each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..network import Network
from ..program.levels import core_visits
from ..program.program import QUEUE_DEPTH, CorePlan
from .cost import CHAIN_CYCLES, PHASE_CYCLES, PORT_CYCLES, Phase, events_of_a_train, phases
from .resources import SLOTS

INBOX_STEP = 512  # events: a block RAM or two
_SAMPLES = 16  # that are followed through the chain; the first half of them only fills it


@dataclass
class _Part:
    """A core on its way through its phases, again and again.

    Members
    -------
    phases : of a sample.
    receives, sends : whether each of them takes a train from the core before, and hands one to the core behind.
    inbox : events that may wait before the core.
    burst : events of a neuron that is not silent, in the train that it takes.
    ends : when phases ended, of all samples one after the other.
    offers : phases that send, and when they began.
    takes : when phases that receive began.
    begun : phases whose beginning is noted.
    """

    phases: tuple[Phase, ...]
    receives: tuple[bool, ...]
    sends: tuple[bool, ...]
    inbox: int
    burst: float
    ends: list[float] = field(default_factory=list)
    offers: list[tuple[Phase, float]] = field(default_factory=list)
    takes: list[float] = field(default_factory=list)
    begun: int = 0

    def __post_init__(self) -> None:
        self.taking = [phase for phase, receives in zip(self.phases, self.receives, strict=True) if receives]

    def advance(self, before: "_Part | None", behind: "_Part | None") -> bool:
        """Find when the next phase ends; False as long as a neighbour's part in it is not known."""
        number = len(self.ends)
        place = number % len(self.phases)
        phase, start = self.phases[place], self.ends[-1] if number else 0.0
        receives = before is not None and self.receives[place]
        sends = behind is not None and self.sends[place] and number > 0
        if self.begun == number:
            self.begun += 1
            self.takes += [start] * receives
            self.offers += [(phase, start)] * sends
        end = start + phase.cycles
        if before is not None and receives:
            train = len(self.takes) - 1
            if len(before.offers) <= train:
                return False
            end = crossed(*before.offers[train], phase, start) + phase.after
        if behind is not None and sends:
            sent = self._sent(behind, len(self.offers) - 1, phase)
            if sent is None:
                return False
            end = max(end, sent + phase.after)
        self.ends.append(end)
        return True

    def _sent(self, behind: "_Part", train: int, this: Phase) -> float | None:
        """When a train has left in `this` phase: all that cannot wait is taken; None: that is not known yet."""
        start, phase = self.offers[train][1], behind.taking[train % len(behind.taking)]
        words = max(phase.front / behind.burst, 1.0)
        waiting = behind.inbox / behind.burst
        if not this.replay:  # what is read back waits in the same queue, behind all of the train
            waiting += QUEUE_DEPTH + SLOTS
        left = train + 1 - waiting / words  # trains that must be taken
        found = start + phase.front + PORT_CYCLES if behind.inbox else start
        if left <= 0:
            return found
        number = math.ceil(left) - 1
        if len(behind.takes) <= number:
            return None
        (sends, offered), ready = self.offers[number], behind.takes[number]
        across = behind.taking[number % len(behind.taking)].across(_ahead(sends, offered, ready))
        return max(found, max(ready, offered) + (left - number) * across)


def crossed(sends: Phase, start: float, takes: Phase, ready: float) -> float:
    """When a train is across that a core offers from `start` on, and that the next one can take once it is `ready`.

    Until then the sender's generator fills its queues of slots and events, but no more.
    """
    early = min(max(ready - start, 0.0), CHAIN_CYCLES - PHASE_CYCLES)  # the first events wait already
    return max(start, ready) + takes.across(_ahead(sends, start, ready)) - early


def _ahead(sends: Phase, start: float, ready: float) -> float:
    """Part of its pass that a generator might have made before the next core is ready."""
    return min(max(ready - start, 0.0) / max(sends.generator, 1), 1.0)


def interval(network: Network, cores: Sequence[CorePlan]) -> float:
    """Expected cycles between samples.

    A core sends its last layer's train while it accumulates its next layer, and the core behind takes it in a phase of
    its first layer. Neither phase ends before the train is across, but for the events that may wait in between. Where
    trains come in sweeps, neighbours meet so in every time step.
    """
    parts = [_part(network, core, before) for core, before in zip(cores, (None, *cores), strict=False)]
    last, count = parts[-1], len(parts[-1].phases)
    if len(parts) == 1:
        return sum(phase.cycles for phase in last.phases)
    neighbours = list(zip(parts, (None, *parts[:-1]), (*parts[1:], None), strict=True))
    while len(last.ends) < _SAMPLES * count:
        moved = False
        for part, before, behind in neighbours:
            while part.advance(before, behind):
                moved = True
        assert moved  # every train that is sent is taken
    half = _SAMPLES // 2
    return (last.ends[_SAMPLES * count - 1] - last.ends[half * count - 1]) / (_SAMPLES - half)


def _part(network: Network, core: CorePlan, sender: CorePlan | None) -> _Part:
    visits, last = core_visits(network, core), len(core.layers) - 1
    receives = tuple(not item.layer and any(step.kind == "stream" for step in item.steps) for item in visits)
    before = (visits[-1], *visits[:-1])
    sends = tuple(item.layer == last and item.sends for item in before)
    burst = events_of_a_train(network, core.source)
    return _Part(phases(network, core, sender), receives, sends, core.inbox, burst)


def sending(phase: Phase, inbox: int) -> float:
    """Cycles that the core before needs to send the train of a core's first phase, of which `inbox` events may wait."""
    if not inbox:
        return phase.cycles
    if inbox >= phase.front:
        return phase.front + PORT_CYCLES
    return max(phase.front, phase.cycles * (1 - inbox / phase.front)) + PORT_CYCLES


def inbox_for(phase: Phase) -> int:
    """Events that have to wait for the core before to send one a cycle, rounded up."""
    return -(-round(phase.front * (1 - phase.front / phase.cycles)) // INBOX_STEP) * INBOX_STEP
