"""Partitions of a list of layers into consecutive cores, of which none is worse than another in every respect."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..program.program import CorePlan
from .resources import Capacity

Segment = tuple[int, int]  # first population, number of populations

KEPT = 32  # partial chains that are pursued


@dataclass(frozen=True)
class Choice:
    """A core for a segment: cycles a sample, those of its first phase, block RAMs, look-up tables.

    `sending` are the cycles in which the core before gets rid of its train: as many as the first phase has, or fewer
    where events may wait between the cores.
    """

    plan: CorePlan
    cycles: float
    first: float
    sending: float
    blocks: int
    luts: int


@dataclass(frozen=True)
class Chain:
    """Cores one behind the other: cycles of the busiest, block RAMs and look-up tables of all.

    A core sends its train in its first phase, which lasts until the next one has taken it. `rest` are the last core's
    cycles without the first phase.
    """

    cycles: float = 0.0
    blocks: int = 0
    luts: int = 0
    rest: float = 0.0
    segments: tuple[Segment, ...] = ()
    plans: tuple[CorePlan, ...] = ()

    def followed(self, segment: Segment, choice: Choice) -> "Chain":
        """The chain with one more core."""
        waits = self.rest + choice.sending if self.plans else 0.0
        return Chain(
            max(self.cycles, choice.cycles, waits),
            self.blocks + choice.blocks,
            self.luts + choice.luts,
            choice.cycles - choice.first,
            (*self.segments, segment),
            (*self.plans, choice.plan),
        )

    def fits(self, room: Capacity | None) -> bool:
        """Whether there is room for it."""
        return room is None or (self.blocks <= room.ram_blocks and self.luts <= room.lut)


def segments_of(ends: list[int]) -> list[Segment]:
    """The segments between neighbouring ends."""
    return [(first, last - first) for first, last in pairwise(ends)]


def chains(
    ends: list[int],
    choose: Callable[[Segment], Sequence[Choice]],
    count: int | None,
    room: Capacity | None,
    pace: float = math.inf,
) -> list[Chain]:
    """Chains that fit, the fastest first.

    Parameters
    ----------
    ends : where cores may begin, and the number of populations.
    choose : the cores for a segment.
    count : number of cores, or None for any.
    room : what they have to fit, or None.
    pace : most cycles a sample.
    """
    reached: list[dict[int, list[Chain]]] = [{0: [Chain()]}, *({} for _ in ends[1:])]
    for last in range(1, len(ends)):
        made: dict[int, list[Chain]] = {}
        for first in range(last):
            segment = ends[first], ends[last] - ends[first]
            for number, before in reached[first].items():
                if count is None or number < count:
                    made.setdefault(0 if count is None else number + 1, []).extend(
                        chain.followed(segment, choice) for choice in choose(segment) for chain in before
                    )
        reached[last] = {
            number: _best([chain for chain in found if chain.cycles <= pace and chain.fits(room)])
            for number, found in made.items()
        }
    return reached[-1].get(0 if count is None else count, [])


def _best(found: Iterable[Chain]) -> list[Chain]:
    """Those that are not worse than another one in every respect, the fastest first; of many the best in each."""
    kept: list[Chain] = []
    for chain in sorted(found, key=lambda item: (item.cycles, item.blocks, item.luts, item.rest, len(item.segments))):
        better = (one.blocks <= chain.blocks and one.luts <= chain.luts and one.rest <= chain.rest for one in kept)
        if not any(better):
            kept.append(chain)
    if len(kept) <= KEPT:
        return kept
    frugal = {id(chain) for chain in sorted(kept, key=lambda item: (item.blocks, item.luts))[: KEPT // 4]}
    small = {id(chain) for chain in sorted(kept, key=lambda item: (item.luts, item.blocks))[: KEPT // 4]}
    fast = {id(chain) for chain in kept[: KEPT // 2]}
    return [chain for chain in kept if id(chain) in fast | frugal | small]
