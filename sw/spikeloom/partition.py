"""Partitions of a list of layers into consecutive cores, of which none is worse than another in every respect."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from .program import CorePlan
from .resources import Capacity

Segment = tuple[int, int]  # first population, number of populations

KEPT = 24  # partial chains that are pursued


@dataclass(frozen=True)
class Choice:
    """A core for a segment: cycles a sample, block RAMs, look-up tables."""

    plan: CorePlan
    cycles: float
    blocks: int
    luts: int


@dataclass(frozen=True)
class Chain:
    """Cores one behind the other: cycles of the busiest, block RAMs and look-up tables of all."""

    cycles: float = 0.0
    blocks: int = 0
    luts: int = 0
    segments: tuple[Segment, ...] = ()
    plans: tuple[CorePlan, ...] = ()

    def followed(self, segment: Segment, choice: Choice) -> "Chain":
        """The chain with one more core."""
        return Chain(
            max(self.cycles, choice.cycles),
            self.blocks + choice.blocks,
            self.luts + choice.luts,
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
    ends: list[int], choose: Callable[[Segment], Choice | None], count: int | None, room: Capacity | None
) -> list[Chain]:
    """Chains that fit, the fastest first.

    Parameters
    ----------
    ends : where cores may begin, and the number of populations.
    choose : the core for a segment, None where there is none.
    count : number of cores, or None for any.
    room : what they have to fit, or None.
    """
    reached: list[dict[int, list[Chain]]] = [{0: [Chain()]}, *({} for _ in ends[1:])]
    for last in range(1, len(ends)):
        made: dict[int, list[Chain]] = {}
        for first in range(last):
            segment = ends[first], ends[last] - ends[first]
            choice = choose(segment)
            if choice is None:
                continue
            for number, before in reached[first].items():
                if count is None or number < count:
                    made.setdefault(0 if count is None else number + 1, []).extend(
                        chain.followed(segment, choice) for chain in before
                    )
        reached[last] = {number: _best(found, room) for number, found in made.items()}
    return reached[-1].get(0 if count is None else count, [])


def _best(found: Iterable[Chain], room: Capacity | None) -> list[Chain]:
    """Those that fit and are not worse than another one in every respect, the fastest first."""
    kept: list[Chain] = []
    for chain in sorted(found, key=lambda item: (item.cycles, item.blocks, item.luts, len(item.segments))):
        if chain.fits(room) and not any(one.blocks <= chain.blocks and one.luts <= chain.luts for one in kept):
            kept.append(chain)
    return kept[:KEPT]
