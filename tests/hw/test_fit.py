"""Whether a network fits a board: told without synthesis, with all reasons, as placing decides."""

import time

import numpy as np
import pytest
from deep_shapes import residual_network
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_networks import RandomNetwork
from spikeloom import Conv2d, DoesNotFit, Network
from spikeloom.placing.place import place
from spikeloom.placing.place import smallest as smallest_chain
from spikeloom.placing.resources import Capacity
from spikeloom_hw.boards.board_list import BOARDS
from spikeloom_hw.fit import smallest, verdict


def dense(*sizes: int) -> Network:
    network = RandomNetwork(np.random.default_rng(1), (1, 1, sizes[0]), 4, "wide")
    for size in sizes[1:-1]:
        network.dense(size)
    return network.readout(sizes[-1])


def test_all_reasons_are_told_at_once_and_the_smallest_board() -> None:
    network = residual_network(np.random.default_rng(0))
    found = verdict(network, BOARDS["icestick"])
    assert not found.fits
    assert found.reasons == (
        f"needs about {found.lut} of 1280 LUTs",
        f"needs about {found.ram} of 16 RAM blocks",
    )
    assert smallest(network) == "ulx3s-85f"
    assert verdict(network, BOARDS["ulx3s-85f"]).fits


def test_network_that_fits_has_no_reasons() -> None:
    network = dense(16, 8, 4)
    found = verdict(network, BOARDS["icebreaker"])
    assert (found.fits, found.reasons, found.lut_available, found.ram_available) == (True, (), 5280, 30)
    assert 0 < found.lut < 5280


def test_network_that_fits_nowhere_has_no_smallest_board() -> None:
    network = RandomNetwork(np.random.default_rng(0), (64, 16, 16), 4).dense(1000).readout(10)
    assert smallest(network) is None


@settings(max_examples=25, deadline=None)
@example(sizes=[28, 26, 28, 40, 40], convolved=True, family="ecp5", lut=2112, blocks=3)
@example(sizes=[23, 38, 47, 56, 27], convolved=False, family="gowin", lut=1500, blocks=5)
@example(sizes=[12, 4, 46, 12, 46], convolved=False, family="gowin", lut=2500, blocks=1)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=3, max_size=5),
    convolved=st.booleans(),
    family=st.sampled_from(["ecp5", "ice40", "gowin", "gatemate"]),
    lut=st.integers(300, 6000),
    blocks=st.integers(1, 30),
)
def test_verdict_is_what_placing_decides(sizes: list[int], convolved: bool, family: str, lut: int, blocks: int) -> None:
    network = RandomNetwork(np.random.default_rng(sum(sizes)), (2, 6, 6), 3)
    if convolved:
        network.conv(sizes[0] % 12 + 1, Conv2d((3, 3)))
    for size in sizes[:-1]:
        network.dense(size)
    made = network.readout(sizes[-1])
    capacity = Capacity("board", lut, blocks, family)
    _, missing = smallest_chain(made, capacity)
    if not missing:
        assert place(made, capacity=capacity).cores
        return
    with pytest.raises(DoesNotFit) as refused:
        place(made, capacity=capacity)
    assert "; ".join(missing) in str(refused.value)


@pytest.mark.parametrize("name", ["tang-nano-9k", "olimex-gatemate"])
def test_new_families_are_planned_in_their_own_block_rams(name: str) -> None:
    found = verdict(dense(64, 32, 10), BOARDS[name])
    assert found.fits
    assert found.ram > 0


def test_verdict_on_a_network_twice_as_deep_takes_no_more_than_ten_times_as_long() -> None:
    times = []
    for blocks in (3, 6):  # as deep as ResNet-20 and ResNet-38
        network = residual_network(np.random.default_rng(0), blocks=blocks)
        began = time.process_time()
        one = verdict(network, BOARDS["ulx3s-85f"])
        least = smallest(network)
        times.append(time.process_time() - began)
    assert times[1] < 10 * times[0]
    assert (one.fits, least) == (False, None)
