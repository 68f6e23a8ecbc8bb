"""Partitions against trying all of them."""

import itertools

import numpy as np
import pytest
from spikeloom.placing.partition import Choice, chains, segments_of
from spikeloom.placing.resources import Capacity
from spikeloom.program.program import CorePlan, LayerPlan

LAYER = LayerPlan("layer", (1, 1, 1), (1, 1), 1, (1, 1))


def table(seed: int, ends: list[int]) -> dict[tuple[int, int], Choice]:
    """A random core for every segment; some segments have none."""
    rng, other = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    found = {}
    for first, last in itertools.combinations(ends, 2):
        if last - first == 1 or rng.random() < 0.8:
            plan = CorePlan(f"c{first}_{last}", "input", (LAYER,), (1, 1), 1, 8, 6, 0, 0)
            begin, rest, blocks, luts = (int(rng.integers(1, 12)) for _ in range(4))
            sending = min(begin, int(other.integers(1, 12)))
            found[first, last - first] = Choice(plan, float(begin + rest), float(begin), float(sending), blocks, luts)
    return found


@pytest.mark.parametrize("count", [None, 1, 2, 3])
@pytest.mark.parametrize("seed", range(20))
def test_the_fastest_chain_that_fits_is_found(seed: int, count: int | None) -> None:
    ends = [0, 1, 3, 4, 7, 8]
    cores = table(seed, ends)
    room = Capacity("board", lut=22, ram_blocks=20, family="ecp5")
    expected = []
    for size in range(len(ends) - 1):
        for inner in itertools.combinations(ends[1:-1], size):
            segments = segments_of([0, *inner, 8])
            if count in (None, len(segments)) and all(segment in cores for segment in segments):
                parts = [cores[segment] for segment in segments]
                if sum(part.blocks for part in parts) <= 20 and sum(part.luts for part in parts) <= 22:
                    nexts = [*(part.sending for part in parts[1:]), 0.0]
                    expected.append(
                        max(
                            part.cycles - part.first + max(part.first, other)
                            for part, other in zip(parts, nexts, strict=True)
                        )
                    )
    found = chains(ends, lambda segment: [cores[segment]] if segment in cores else [], count, room)
    assert [chain.cycles for chain in found[:1]] == sorted(expected)[:1]
    for chain in found:
        assert chain.fits(room)
        parts = [cores[segment] for segment in chain.segments]
        assert chain.plans == tuple(part.plan for part in parts)
        assert (chain.blocks, chain.luts) == (sum(part.blocks for part in parts), sum(part.luts for part in parts))
        assert sum(length for _, length in chain.segments) == 8


def test_without_a_board_everything_fits() -> None:
    cores = table(1, [0, 1, 2, 3])
    assert chains([0, 1, 2, 3], lambda segment: [cores[segment]], 3, None)[0].segments == ((0, 1), (1, 1), (2, 1))
