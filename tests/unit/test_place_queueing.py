"""What a queue evens out between who brings work and who does it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import RandomNetwork
from spikeloom import Conv2d
from spikeloom.placing.cores import plan_core
from spikeloom.placing.cost import phases
from spikeloom.placing.queueing import together

EMPTY, FULL = [0.0] * 50, [4.0] * 50


@pytest.mark.parametrize(
    ("work", "depth", "expected"),
    [
        ([4.0] * 100, 0, 0),  # even: the lanes set the pace
        ([1.0] * 100, 0, 0),  # even: the generator does
        (EMPTY + FULL, 1000, 100),  # the lanes wait in the first half, whatever the depth
        (FULL + EMPTY, 1000, 0),  # all of it may wait
        (FULL + EMPTY, 0, 100),  # the generator waits, then the lanes do
        (FULL + EMPTY, 40, 60),  # what may wait gives the generator 40 cycles of the second half
    ],
)
def test_uneven_work_takes_longer_than_either_side_alone(work: list[float], depth: float, expected: float) -> None:
    found = together(np.array(work), 2.0, depth) - max(sum(work), 2.0 * len(work))
    assert found == pytest.approx(expected, abs=2.0)


def test_a_generator_that_is_ahead_makes_the_lanes_wait_less() -> None:
    late = np.array(EMPTY + FULL)
    assert [together(late, 2.0, 1000, lead) for lead in (0, 60, 100, 200)] == [300, 240, 200, 200]
    assert together(np.array(FULL + FULL), 2.0, 40, 200) == 400  # no more than the queue holds


def counted(work: list[int], pace: int, depth: int) -> int:
    """Cycles of a generator, a queue of so many units of work, and lanes that do one of them a cycle."""
    shown = [
        sum(work[:piece]) + work[piece] * cycle // pace for piece in range(len(work)) for cycle in range(1, pace + 1)
    ]
    cycle = passed = sent = done = 0
    while passed < len(shown) or done < sent:
        cycle += 1
        done += done < sent
        if passed < len(shown):
            sent = min(shown[passed], done + depth)
            passed += sent == shown[passed]
    return cycle


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 60))
def test_cycles_are_those_of_a_queue_that_is_followed_cycle_by_cycle(work: list[int], pace: int, depth: int) -> None:
    alone = max(sum(work), pace * len(work))
    found = together(np.array(work, float), pace, depth)
    assert alone <= found <= sum(work) + pace * len(work)
    assert found == pytest.approx(counted(work, pace, depth), abs=pace + 2 * max(work) + 2)


def test_only_events_that_lie_unevenly_cost_cycles() -> None:
    network = RandomNetwork(np.random.default_rng(4), (2, 16, 16)).conv(8, Conv2d((3, 3), padding=(1, 1)))
    network = network.conv(8, Conv2d((3, 3), padding=(1, 1))).readout(3)

    def cycles(by_row: list[float]) -> float:
        heard = tuple(by_row), tuple([sum(by_row) / 16] * len(by_row))
        known = (network.connections[0], replace(network.connections[1], heard=heard), network.connections[2])
        made = replace(network, connections=known)
        return phases(made, plan_core(made, 0, 3, width=8))[1].cycles

    even = cycles([40.0] * 16)
    assert cycles([0.0] * 8 + [80.0] * 8) > 1.1 * even
    assert cycles([80.0, 0.0] * 8) < 1.05 * even  # which the queue evens out
