"""The least that a network takes of a device: chains of cores of a few lanes, found without counting a cycle."""

from collections.abc import Sequence
from functools import lru_cache

from ..network import Network
from ..program.program import CorePlan
from .cores import plan_core
from .partition import Chain, Choice, Segment, chains
from .resources import Capacity, core_blocks, core_luts

# Of one lane the logic is least; several may fill the words of a block RAM better.
WIDTHS = (1, 4)


def least(network: Network, ends: Sequence[int], capacity: Capacity, cores: int | None = None) -> tuple[Chain, bool]:
    """The smallest chain of cores that was found, and whether it fits.

    Parameters
    ----------
    ends : where cores may begin, and the number of populations.
    capacity : what it has to fit, or else come closest to.
    cores : how many, or None for any number.
    """

    def choose(segment: Segment) -> tuple[Choice, ...]:
        return _choices(network, segment, capacity.family)

    found = chains(list(ends), choose, cores, capacity)
    if found:
        return min(found, key=lambda chain: share(chain, capacity)), True
    return min(chains(list(ends), choose, cores, None), key=lambda chain: share(chain, capacity)), False


@lru_cache(maxsize=4096)
def _choices(network: Network, segment: Segment, family: str) -> tuple[Choice, ...]:
    """Cores of a few lanes for some layers, without those that another one is smaller than in every respect."""
    plans = _plans(network, segment)
    taken = [(core_blocks(network, plan, family), core_luts(network, plan, family)) for plan in plans]
    return tuple(
        Choice(plan, 0.0, 0.0, 0.0, *one)
        for plan, one in zip(plans, taken, strict=True)
        if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in taken)
    )


@lru_cache(maxsize=4096)
def _plans(network: Network, segment: Segment) -> tuple[CorePlan, ...]:
    channels = max(item.shape[0] for item in network.populations[segment[0] : sum(segment)])
    return tuple(plan_core(network, *segment, width=width) for width in WIDTHS if width <= max(channels, 1))


def share(chain: Chain, capacity: Capacity) -> float:
    """Part of what a chain needs most of."""
    return max(chain.blocks / capacity.ram_blocks, chain.luts / capacity.lut)
